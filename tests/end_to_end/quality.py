"""What methods reach on small data under three seeds, and the reference that is committed: a fall below it is seen.

    python -m tests.end_to_end.quality           # measure, and show what differs from the reference
    python -m tests.end_to_end.quality --write   # and make it the reference (make metrics-reference)

Planted data take seconds; MovieLens-100K is measured where it lies in data/ml-100k (jobs.fetch_movielens).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.end_to_end.recipes import planted
from unisid import pipeline
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Place, Store
from unisid.backbones import hierarchical
from unisid.compute import Pool
from unisid.datasets import recbole
from unisid.fusion import concat
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.stages import model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

FILE = Path(__file__).with_name("reference.json")
ROOT = Path(__file__).parents[2]
MOVIELENS = ROOT / "data" / "ml-100k"
SEEDS = (0, 1, 2)
METRICS = ("HR@10", "NDCG@10")
T = 4.303
"""Of Student's distribution with two degrees of freedom: a 95% interval of three."""
HERE = Pool(workers=0)
Figures = dict[str, dict[str, float]]
"""Method -> metric -> value."""


def small(seed: int) -> Recipe:
    """Planted data, vectors of text and graph side by side, TIGER."""
    base = planted("small", items=300, users=900, seed=seed)
    return replace(
        base,
        graph=replace(base.graph, epochs=10, seed=seed, pool=HERE),
        fused=replace(base.fused, fusion=concat.Config(), pool=HERE, writers=HERE),
        codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=3, codebook_size=16), pool=HERE),
        model=replace(
            base.model,
            samples_per_epoch=4_000,
            valid_samples=150,
            training=Training(epochs=8, patience=8, learning_rate=4e-3, warmup_steps=20, seed=seed),
            pool=HERE,
        ),
        metrics=replace(base.metrics, method="tiger", beam=20, cutoffs=(10,), resamples=100),
    )


def movielens(seed: int) -> Recipe:
    """MovieLens-100K with the same, longer histories and fewer passes."""
    base = small(seed)
    data = recbole.Config(name="ml-100k", path=str(MOVIELENS))
    return replace(
        base,
        name="movielens",
        catalog=replace(base.catalog, dataset=data, k_core=5, history_length=20),
        codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=3, codebook_size=64)),
        model=replace(
            base.model, samples_per_epoch=12_000, training=replace(base.model.training, epochs=4, patience=4)
        ),
    )


def over_items(base: Recipe) -> Recipe:
    """The recommender over items in TIGER's place."""
    training = replace(base.model.training, epochs=6, learning_rate=2e-3)
    return replace(
        base,
        name=f"{base.name}-over-items",
        model=model.Config(
            backbone=hierarchical.Config(), batch_size=64, valid_samples=150, training=training, pool=HERE
        ),
        metrics=replace(base.metrics, method="hierarchical", baselines=()),
    )


DATA: Mapping[str, Callable[[int], Recipe]] = {"planted": small, "movielens": movielens}
"""By name; the recipe of a seed."""


def measured(data: str, seed: int) -> Figures:
    """Every method's figures, of items that a user has not taken before."""
    found: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for recipe in (base := DATA[data](seed), over_items(base)):
            places = pipeline.run(recipe, Store(Place.of(folder)), LocalCompute(), pipeline.NullTracker(), "metrics")
            for method, rules in Metrics.read(places["metrics"]).results().items():
                found[method] = {metric: rules["excluded"][metric]["mean"] for metric in METRICS}
    return found


def interval(values: list[float]) -> dict[str, Any]:
    """The mean of three seeds, and its 95% interval."""
    mean, half = float(np.mean(values)), T * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return {
        "mean": round(mean, 4),
        "low": round(mean - half, 4),
        "high": round(mean + half, 4),
        "seeds": [round(value, 4) for value in values],
    }


def falls(data: str, seed: int, found: Figures, reference: Mapping[str, Any]) -> list[str]:
    """What lies below the lower bound of the reference, in words; a method that is missing counts."""
    said = []
    for method, metrics in reference["data"][data].items():
        for metric, bounds in metrics.items():
            value = found.get(method, {}).get(metric, float("nan"))
            if not round(value, 4) >= bounds["low"]:  # as the bounds are
                said.append(
                    f"{method} on {data}, seed {seed}: {metric} is {value:.4f}, below {bounds['low']:.4f}; the "
                    f"reference of commit {reference['commit']} has {bounds['mean']:.4f} on average"
                )
    return said


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A line for every figure that is new, gone or another."""
    lines = []
    flat = [
        {
            (data, method, metric): each["mean"]
            for data, methods in whole.get("data", {}).items()
            for method, metrics in methods.items()
            for metric, each in metrics.items()
        }
        for whole in (before, after)
    ]
    for key in sorted({*flat[0], *flat[1]}):
        was, now = (each.get(key) for each in flat)
        if was != now:
            lines.append(f"{' '.join(key)}: {'new' if was is None else was} -> {'gone' if now is None else now}")
    return lines


def reference_of(names: list[str]) -> dict[str, Any]:
    """All figures anew, with the commit that they are of."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    data: dict[str, Any] = {}
    for name in names:
        runs = [measured(name, seed) for seed in SEEDS]
        data[name] = {
            method: {metric: interval([run[method][metric] for run in runs]) for metric in METRICS}
            for method in runs[0]
        }
    return {"commit": commit, "data": data}


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where a mean lies below the reference's lower bound and no new one is written."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make what is measured the reference")
    parser.add_argument("--data", nargs="+", choices=list(DATA), help="these alone; all that are there by default")
    args = parser.parse_args(arguments)
    names = args.data or [name for name in DATA if name != "movielens" or MOVIELENS.exists()]
    before = json.loads(FILE.read_text()) if FILE.exists() else {"commit": "none", "data": {}}
    now = reference_of(names)
    whole = now | {"data": before["data"] | now["data"]}
    print("\n".join(differences(before, whole) or ["nothing differs"]))
    if args.write:
        FILE.write_text(json.dumps(whole, indent=2) + "\n")
        return 0
    known = [name for name in names if name in before["data"]]
    means = {n: {m: {k: e["mean"] for k, e in ks.items()} for m, ks in now["data"][n].items()} for n in known}
    said = [line for name in known for line in falls(name, -1, means[name], before)]
    print("\n".join(said), file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
