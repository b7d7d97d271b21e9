"""`unisid.update`: a day's new items and interactions taken in from Python, as the command line does it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from unisid.api.flows import Settings, configured
from unisid.api.places import store_of
from unisid.api.tables import path_of
from unisid.artifacts.store import Store
from unisid.config import Json, override
from unisid.datasets import tables
from unisid.errors import ConfigError
from unisid.pipeline import Recipe


def day_tables(recipe: Recipe, store: Store, items: Any, interactions: Any) -> Recipe:
    """A recipe over a day's tables; None for the one that a day lacks.

    Raises:
        ConfigError: both lack, or the recipe's data are no tables.
        DataError: a table is none.
    """
    dataset = recipe.catalog.dataset
    if not isinstance(dataset, tables.Config):
        raise ConfigError(
            f"recipe '{recipe.name}': reads {dataset.kind}, no tables; a day comes as tables: give a recipe over "
            "tables, such as the ready recipe 'shop'"
        )
    if items is None and interactions is None:
        raise ConfigError("unisid update: neither new items nor new interactions are given; give one table of them")
    items, interactions = (
        tables.NONE if table is None else path_of(table, store, name)
        for name, table in (("items", items), ("interactions", interactions))
    )
    return replace(
        recipe, catalog=replace(recipe.catalog, dataset=replace(dataset, items=items, interactions=interactions))
    )


def update(
    recipe: str | Recipe | Callable[[], Recipe],
    store: str | Path | Store | None = None,
    *,
    items: Any = None,
    interactions: Any = None,
    settings: Settings | None = None,
    daily: Settings | None = None,
    version: str = "",
    compute: str = "ray",
) -> Json:
    """Take in a day: new items get semantic ids, the recommender in use is trained on, and promoted if not worse.

    Args:
        recipe: the recipe that was run: a ready recipe's name, `file.py:function`, a recipe, or a function that returns
            one. Its data are tables.
        store: a folder or a URI; None for UNISID_STORE, else `runs`.
        items: the new ones: a path, or a table of pandas, Polars or Arrow; None where a day has none.
        interactions: likewise.
        settings: dotted keys of the recipe and their values, as it was run with.
        daily: dotted keys of the update: {"epochs": 2, "gate.level": 0.01}.
        version: of what is made; empty for the next number.
        compute: "ray", or "local" for this process alone.

    Returns what was decided: `passed`, `why`, the `figures`, and what is in use then (`promoted`).

    Raises:
        ConfigError: an unknown recipe or setting, or one that differs from that of the index in use.
        DataError: the tables do not hold what they must.
        ArtifactError: nothing is there to go on from, or MLflow cannot be reached.
        DriftError: other tables were begun under this version.
    """
    from unisid.runtime.machines import machines
    from unisid.runtime.tracking import tracker
    from unisid.versions.update import Update
    from unisid.versions.update import update as take_in

    place = store_of(store)
    chosen = Update()
    for key, value in (daily or {}).items():
        chosen = override(chosen, key.replace("-", "_"), value)
    whole = day_tables(configured(recipe, settings, place), place, items, interactions)
    return take_in(whole, place, chosen, lambda: machines(compute), tracker(place.root), version)
