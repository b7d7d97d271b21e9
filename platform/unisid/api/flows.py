"""`unisid.run` and `unisid.plan`: a recipe carried out or planned from Python, as the command line does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from unisid import config, pipeline, recipes
from unisid.api.places import store_of
from unisid.api.tables import path_of
from unisid.artifacts.metrics import HISTORY_RULES, Metrics
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.datasets import tables
from unisid.errors import ConfigError
from unisid.evaluation.groups import in_order
from unisid.planned import Planned
from unisid.planning import Recipe

if TYPE_CHECKING:
    from unisid.api.recommender import Recommender

Settings = Mapping[str, Any]
"""Dotted keys and values, as `--codes.tokenizer.codebook_size 64` on the command line."""


@dataclass(frozen=True)
class Run:
    """What a run of a recipe made or found."""

    recipe: Recipe
    store: Store
    places: dict[str, Place]
    """Noun -> where the artifact lies."""

    @property
    def report(self) -> str:
        """Where the HTML report lies."""
        return str(pipeline.report_place(self.recipe, self.store) / "report.html")

    def metrics(self) -> pa.Table:
        """The figures, one a row: `method`, `history` (excluded or allowed), `metric`, `mean`, `low`, `high`.

        Raises:
            ArtifactError: the run ended before the metrics.
        """
        found = self._measured().results()
        rows = [
            {"method": method, "history": rule, "metric": metric, **{part: figures[part] for part in SPREAD}}
            for method, by_rule in found.items()
            for rule in HISTORY_RULES
            for metric, figures in by_rule[rule].items()
        ]
        return pa.Table.from_pylist(rows, schema=FIGURES)

    def groups(self) -> pa.Table:
        """The figures by group of samples, how popular the target is and how long the history: `method`, `history`,
        `group`, `samples`, and a column for each metric.

        Raises:
            ArtifactError: the run ended before the metrics.
        """
        rows = [
            {"method": method, "history": rule, "group": group, **figures}
            for method, by_rule in self._measured().groups().items()
            for rule, by_group in by_rule.items()
            for group, figures in in_order(by_group).items()
        ]
        return pa.Table.from_pylist(rows)

    def lists(self) -> dict[str, float]:
        """Diversity of the recommender's lists: `coverage`, `gini`, `novelty` (bits) and `likeness` within a list.

        Raises:
            ArtifactError: the run ended before the metrics.
        """
        record = self._measured().record
        return {name: record.figure("lists", name) for name in record.part("lists")}

    def baseline_lists(self) -> dict[str, dict[str, float]]:
        """Baseline -> the diversity of its lists, as `lists` gives it; empty for old metrics, which have none.

        Raises:
            ArtifactError: the run ended before the metrics.
        """
        record = self._measured().record
        by_method = record.part("baseline_lists") if "baseline_lists" in record.counts else {}
        return {m: {name: record.figure("baseline_lists", m, name) for name in own} for m, own in by_method.items()}

    def _measured(self) -> Metrics:
        own = Address("metrics", self.recipe.name, self.recipe.version)
        return Metrics.read(self.places.get("metrics", self.store.place(own)))

    def recommender(self, **options: Any) -> "Recommender":
        """The recommender that this run made, whatever else is promoted; options as those of `Recommender.load`.

        Raises:
            ArtifactError: the run ended before the model.
        """
        from unisid.api.recommender import Recommender

        address = self.places["model"].address if "model" in self.places else None
        own = Address("model", self.recipe.name, self.recipe.version)
        return Recommender.load(str(address or own), self.store, **options)

    def __repr__(self) -> str:
        return f"Run({', '.join(str(place.address) for place in self.places.values())})"


SPREAD = ("mean", "low", "high")
FIGURES = pa.schema(
    [*((name, pa.string()) for name in ("method", "history", "metric")), *((name, pa.float64()) for name in SPREAD)]
)


def configured(
    recipe: str | Recipe | Callable[[], Recipe],
    settings: Settings | None = None,
    store: str | Path | Store | None = None,
    *,
    items: Any = None,
    interactions: Any = None,
) -> Recipe:
    """A recipe with settings applied and, where they are given, tables of one's own in place of its data.

    Args:
        recipe: a ready recipe's name, `file.py:function`, a recipe, or a function that returns one.
        settings: dotted keys and their values: {"name": "shop", "catalog.dataset.title": "name"}.
        store: where tables from memory are written.
        items, interactions: paths, or tables of pandas, Polars or Arrow. Both or neither.

    Raises:
        ConfigError: an unknown recipe or setting, or tables for a recipe whose data are no tables.
        DataError: a table is none.
    """
    found = recipes.find(recipe) if isinstance(recipe, str) else recipe() if callable(recipe) else recipe
    if not isinstance(found, Recipe):
        raise ConfigError(f"recipe: is of type {type(found).__name__}; must be a name, file.py:function or a Recipe")
    if (items is None) != (interactions is None):
        missing = "items" if items is None else "interactions"
        raise ConfigError(f"recipe '{found.name}': {missing} is not given; must be both tables or neither")
    if items is not None:
        found = _own(found, store_of(store), items, interactions)
    base = found
    for key, value in (settings or {}).items():
        found = config.override(found, key.replace("-", "_"), tuple(value) if isinstance(value, list) else value)
    return recipes.with_note_of(base, found)


def _own(recipe: Recipe, store: Store, items: Any, interactions: Any) -> Recipe:
    """A recipe over tables, with these."""
    dataset = recipe.catalog.dataset
    if not isinstance(dataset, tables.Config):
        raise ConfigError(
            f"recipe '{recipe.name}': reads {dataset.kind}, no tables; give one over tables, such as the "
            "ready recipe 'shop'"
        )
    own = replace(
        dataset, items=path_of(items, store, "items"), interactions=path_of(interactions, store, "interactions")
    )
    return replace(recipe, catalog=replace(recipe.catalog, dataset=own))


def plan(
    recipe: str | Recipe | Callable[[], Recipe],
    store: str | Path | Store | None = None,
    *,
    settings: Settings | None = None,
    items: Any = None,
    interactions: Any = None,
    until: str = NOUNS[-1],
) -> list[Planned]:
    """The artifacts that a run would reuse or make, in order. Arguments as `run`.

    Raises:
        ConfigError, DataError: as `run`.
    """
    place = store_of(store)
    return pipeline.plan(configured(recipe, settings, place, items=items, interactions=interactions), place, until)


def run(
    recipe: str | Recipe | Callable[[], Recipe],
    store: str | Path | Store | None = None,
    *,
    settings: Settings | None = None,
    items: Any = None,
    interactions: Any = None,
    until: str = NOUNS[-1],
    compute: str = "ray",
) -> Run:
    """Make what a recipe still lacks, and its report; what is complete is not made again.

    Progress goes to the logger `unisid`: `logging.basicConfig(level="INFO", format="%(message)s")` shows it.

    Args:
        recipe: a ready recipe's name, `file.py:function`, a recipe, or a function that returns one.
        store: a folder or a URI; None for UNISID_STORE, else `runs`.
        settings: dotted keys and their values: {"name": "shop", "catalog.dataset.title": "name"}.
        items, interactions: one's own data in place of the recipe's: paths, or tables of pandas, Polars or Arrow.
        until: the last artifact to make.
        compute: "ray", or "local" for this process alone.

    Raises:
        ConfigError: an unknown recipe or setting.
        DataError: the data do not hold what they must.
        DriftError: under this name and version lie artifacts of other settings.
    """
    from unisid.runtime.machines import machines
    from unisid.runtime.tracking import tracker

    place = store_of(store)
    whole = configured(recipe, settings, place, items=items, interactions=interactions)
    places = pipeline.run_on(whole, place, lambda: machines(compute), tracker(place.root), until)
    return Run(whole, place, places)
