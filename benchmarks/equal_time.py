"""Quality at equal processor time: a softmax over all items, over a sample of them, and over the trie of semantic ids.

python -m benchmarks.equal_time [FOLDER]

Data: the files of the recipe `beauty`; codes by `shrinkage`, in balance. Transformers of one size read a user's items
and learn from every place, at one rate and with one dropout, without the memory. Two short runs of each say how many
epochs fit into a budget; validation keeps the best. The processor's seconds are of training, of its validations and of
ranking the test samples. FOLDER keeps what is made and its seconds, for another call; a training that was interrupted
is not to be continued there, since its seconds would be of its end alone.
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.recipes.amazon import beauty
from jobs.recipes.recommenders import over_items
from unisid import pipeline
from unisid.artifacts.store import Place, Store
from unisid.backbones import hierarchical
from unisid.baselines import sasrec
from unisid.compute import Pool
from unisid.experiments.definition import with_baseline
from unisid.fusion import shrinkage
from unisid.pipeline import NullTracker, Recipe
from unisid.runtime.local import LocalCompute
from unisid.stages import baseline
from unisid.tokenizers import balanced
from unisid.training.loop import Training

HERE = Pool(workers=0)
RULES = ("excluded", "allowed")
BUDGETS = (90, 300)
"""Seconds of the processor."""
SHORT = (1, 3)
"""Epochs of the runs that say what an epoch takes."""
TRIE = hierarchical.Config(dense=False, content=(), memory=None)
NETWORKS = {"trie": TRIE, "trie_with_content": replace(TRIE, content=("embeddings", "graph"))}
NETWORKS["trie_and_all_items"] = replace(NETWORKS["trie_with_content"], dense=True)
SOFTMAXES = {"all_items": sasrec.Config(), "sampled": sasrec.Config(loss="sampled")}


def main(folder: str = "") -> dict[str, Any]:
    """By loss: an epoch's seconds, and by budget NDCG@10 of the test samples, both history rules."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(folder or scratch)
        found = {}
        for name in (*SOFTMAXES, *NETWORKS):
            found[name] = _at_budgets(place, name)
            print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    return found


def _at_budgets(folder: Path, name: str) -> dict[str, Any]:
    once, more = (_trained(folder, name, epochs)["cpu_seconds"] for epochs in SHORT)
    epoch = max((more - once) / (SHORT[1] - SHORT[0]), 0.1)
    figures: dict[str, Any] = {"epoch_cpu_seconds": round(epoch, 1)}
    for budget in BUDGETS:
        epochs = max(SHORT[1] + 1, round((budget - once) / epoch) + SHORT[0])
        figures[f"budget_{budget}"] = {"epochs": epochs} | _trained(folder, name, epochs)
    return figures


def _trained(folder: Path, name: str, epochs: int) -> dict[str, float]:
    """What a recommender trained for so many epochs comes to."""
    recipe, store, kept = recipe_of(name, epochs), Store(Place.of(folder)), folder / f"seconds-{name}-{epochs}"
    noun = "metrics" if recipe.baseline is None else "baseline"
    for before in ("codes", "sequences"):
        pipeline.run(recipe, store, LocalCompute(), NullTracker(), before)
    begun = time.process_time()
    place = pipeline.run(recipe, store, LocalCompute(), NullTracker(), noun)[noun]
    if not kept.exists():
        kept.write_text(str(time.process_time() - begun))
    seconds = float(kept.read_text())
    (rules,) = json.loads(place.read("metrics.json")).values()
    return {"cpu_seconds": round(seconds, 1)} | {rule: rules[rule]["NDCG@10"]["mean"] for rule in RULES}


def recipe_of(name: str, epochs: int) -> Recipe:
    """Beauty with one of the losses."""
    base = beauty()
    training = Training(epochs=epochs, patience=epochs, learning_rate=1e-3, schedule="constant")
    base = replace(
        base,
        name=f"{name}-{epochs}".replace("_", "-"),
        embeddings=replace(base.embeddings, pool=HERE, tokenize=HERE),
        graph=replace(base.graph, pool=HERE),
        fused=replace(base.fused, fusion=shrinkage.Config(weights={"text": 0.5}), pool=HERE, writers=HERE),
        codes=replace(
            base.codes,
            tokenizer=balanced.Config(num_levels=3, codebook_size=256, equal="interactions"),
            scale="whole",
            pool=HERE,
        ),
        baseline=baseline.Config(training=training, valid_samples=4000, pool=HERE),
        metrics=replace(base.metrics, baselines=(), pool=HERE),
    )
    if name in SOFTMAXES:
        return with_baseline(base, SOFTMAXES[name])
    model = over_items(NETWORKS[name], HERE)
    return replace(base, baseline=None, model=replace(model, training=training))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:]), indent=2))
