"""A recipe whose trials take a second, and searches over it."""

from dataclasses import replace
from pathlib import Path

from tests.end_to_end.recipes import tiny
from tests.lines import logged
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place, Store
from unisid.evaluation.estimates import Outcome
from unisid.fusion import concat
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import InTurn, Runner
from unisid.search.definition import Search
from unisid.search.run import run
from unisid.search.space import parse
from unisid.trials.telling import ExperimentTracker, NullExperimentTracker

RECIPE = "tests/end_to_end/recipes.py:tiny"


def quick() -> Recipe:
    """The tiny recipe without learning before the recommender, and little of that."""
    base = tiny("quick")
    learning = replace(base.model.training, epochs=3)
    return replace(
        base,
        fused=replace(base.fused, fusion=concat.Config()),
        model=replace(base.model, samples_per_epoch=100, valid_samples=40, beam=10, training=learning),
    )


def search(space: list[str], **more) -> Search:
    """Of the quick recipe."""
    return Search(recipe=quick(), space=parse(space), **more)


def launch(
    asked: Search, place: Place, runner: Runner | None = None, tracker: ExperimentTracker | None = None, **more: bool
) -> tuple[list[Outcome], list[str]]:
    """The outcomes and all that was said."""
    log = tracker or NullExperimentTracker()
    with logged() as said:
        return run(asked, Store(place), LocalCompute(), runner or InTurn(), log, said.append, **more), said


def made(place: Place) -> dict[str, int]:
    """Every complete artifact and when it was completed."""
    store = Store(place)
    whole = [a for a in store.addresses() if read_record(store.place(a)) is not None]
    return {str(a): (Path(store.place(a).uri) / "record.json").stat().st_mtime_ns for a in whole}
