"""`unisid.update`: a day's new items and interactions taken in from Python, as the command line does it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unisid.api.flows import Settings, configured
from unisid.api.places import store_of
from unisid.api.tables import path_of
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Address, Place, Store
from unisid.config import Json, override
from unisid.datasets import tables
from unisid.errors import ConfigError
from unisid.in_use import pair_in_use
from unisid.planning import Recipe


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


@dataclass(frozen=True)
class Beginning:
    """The pair, artifacts and recipe that a day's update starts from."""

    name: str
    """What it is in use under."""
    model: Place
    codes: Codes
    recipe: Recipe
    """The recipe that both were made by, as their records have it."""


def beginning(recipe: Recipe | None, store: Store, name: str = "") -> Beginning:
    """The pair in use under a name: with a recipe its own, else what was promoted last, else the newest.

    Args:
        recipe: what adds how the recommender is measured, and where the data lie; of its other settings those that are
            recorded are kept, which is said.

    Raises:
        ArtifactError: there is no recommender to go on from, or what it was made from is gone.
    """
    from unisid.versions.recorded import as_recorded
    from unisid.versions.update import newest_promoted

    pair = pair_in_use(store, name or (None if recipe is None else recipe.name))
    codes = Codes.read(newest_promoted(store, pair.name, pair.codes))
    made = as_recorded(recipe, store, Address.parse(codes.record.address), pair.model)
    return Beginning(pair.name, pair.model, codes, replace(made, name=pair.name))


def update(
    recipe: str | Recipe | Callable[[], Recipe] | None = None,
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
        recipe: None for what the records of what is in use say, which is all that is needed. A ready recipe's name,
            `file.py:function`, a recipe, or a function that returns one: its name says what is in use, and it adds how
            the recommender is measured and where the data lie; its other settings are not heeded, which is said.
        store: a folder or a URI; None for UNISID_STORE, else `runs`.
        items: the new ones: a path, or a table of pandas, Polars or Arrow; None where a day has none.
        interactions: likewise.
        settings: dotted keys of the recipe and their values, for what is to be other than recorded; {"name": "shop"}
            says what is in use where several things are.
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
    found = None if recipe is None else configured(recipe)
    begins = beginning(found, place, str((settings or {}).get("name", "")))
    whole = day_tables(configured(begins.recipe, settings, place), place, items, interactions)
    opened, log = functools.partial(machines, compute), tracker(place.root)
    return take_in(whole, place, chosen, opened, log, version, (begins.model, begins.codes))
