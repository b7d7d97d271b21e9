"""Every row of the thesis's ablation, made from text to figures at tiny size, for each of its three recommenders."""

import json
from dataclasses import replace

import pytest

from jobs.experiments.thesis import ablation
from tests.backbones.models import language_model
from tests.end_to_end.recipes import tiny
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Address, Place, Store
from unisid.backbones import lcrec
from unisid.experiments.run import run
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import InTurn
from unisid.stages import instructions, model
from unisid.training.loop import Training
from unisid.trials.telling import NullExperimentTracker

pytestmark = pytest.mark.slow
SOURCES = ("text", "graph", "concat", "letter", "uqf")


def small() -> Recipe:
    """The tiny recipe, whose codes are learned for a moment."""
    base = tiny()
    learning = Training(epochs=3, validate_every=3, learning_rate=1e-3)
    return replace(base, codes=replace(base.codes, training=learning))


def speaking(folder, tasks: tuple[str, ...]) -> Recipe:
    """The tiny recipe with a language model that is taught these tasks."""
    backbone = lcrec.Config(model=str(language_model(folder)), rows="item_text", max_tokens=600)
    learning = Training(epochs=1, learning_rate=3e-3)
    return replace(
        small(),
        instructions=instructions.Config(tasks=tasks),
        model=model.Config(
            backbone=backbone, training=learning, batch_size=16, samples_per_epoch=32, valid_samples=8, beam=10
        ),
        metrics=replace(small().metrics, cutoffs=(5, 10), beam=10),
    )


@pytest.mark.parametrize(
    ("recommender", "tasks"), [("tiger", None), ("tiger-llm", ("next",)), ("lcrec", ("next", "title_to_sid"))]
)
def test_every_source_of_ids_is_made_and_ranked(tmp_path, recommender, tasks):
    base = small() if tasks is None else speaking(tmp_path / "language", tasks)
    store = Store(Place.of(tmp_path / "store"))
    folder = run(ablation(base), base, [1], store, LocalCompute(), InTurn(), NullExperimentTracker(), str)
    results = json.loads(folder.read("results.json"))
    names = [f"{source}-{recommender}" for source in SOURCES]
    for rule in ("excluded", "allowed"):
        figures = results["history"][rule]["figures"]
        assert list(figures) == names
        assert all(0 <= figures[name]["HR@10"]["mean"] <= 1 for name in names)
        assert set(results["history"][rule]["comparisons"]) == set(names[:-1])
    indexes = {name: Codes.read(store.place(Address("codes", f"tiny-{name}-1", "1"))) for name in names}
    assert len({index.codes.tobytes() for index in indexes.values()}) == len(SOURCES)
    assert all(index.num_levels == 3 for index in indexes.values())
