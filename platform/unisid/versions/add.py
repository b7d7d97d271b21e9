"""Between two days: new items get semantic ids by their texts alone, and can be recommended at once.

The settings are those that the index in use was made with, as its records have them. What is made is the next version
of catalog and index, and the recommender in use serves it; so the next update goes on from there, and the ids stay.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from unisid import in_use
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Address, Store
from unisid.config import Json
from unisid.datasets import tables
from unisid.errors import ConfigError, DriftError
from unisid.log import logger
from unisid.planning import Recipe
from unisid.runtime.machines import Machines
from unisid.versions.recorded import recorded
from unisid.versions.update import Update, newest_promoted, update

if TYPE_CHECKING:
    from unisid.runtime.tracking import Tracker

LOG = logger(__name__)
TRIES = 3
"""Begun again where another process added items meanwhile."""


def add(store: Store, name: str, items: str, machines: Machines, tracker: "Tracker") -> Json:
    """Give the items of a table semantic ids, and promote the index; returns what `update.json` holds of it.

    Raises:
        ConfigError: the index in use was not made from tables.
        DataError: the table is none, or lacks columns that the catalogue has.
        ArtifactError: nothing is in use under the name, or MLflow cannot be reached.
    """
    for last in range(TRIES, 0, -1):
        codes = Codes.read(newest_promoted(store, name, in_use.pair_in_use(store, name).codes))
        try:
            return update(recipe_of(store, codes, name, items), store, Update(), machines, tracker)
        except DriftError:
            if last == 1:
                raise
            LOG.info("items were added meanwhile; once more, after them")
    raise AssertionError


def recipe_of(store: Store, codes: Codes, name: str, items: str) -> Recipe:
    """The recipe that an index was made by, as its records have it, over a table of new items."""
    made = recorded(store, Address.parse(codes.record.address))
    if not isinstance(dataset := made.catalog.dataset, tables.Config):
        raise ConfigError(
            f"index add: {codes.record.address} was made from {dataset.kind} data; items are added to an index "
            "over tables"
        )
    dataset = replace(dataset, items=items, interactions=tables.NONE)
    return replace(made, name=name, version="1", catalog=replace(made.catalog, dataset=dataset))
