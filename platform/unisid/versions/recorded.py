"""The recipe that an index was made by, as its records have it: who extends it has nothing to repeat."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unisid.artifacts.record import require
from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import Address, Store
from unisid.config import differences, flatten, leaves, override, to_record
from unisid.log import logger
from unisid.pipeline import Recipe
from unisid.stages.flow import settings_of
from unisid.versions.extend import ADDED_BY_EXTENSION, FROZEN, lineage

LOG = logger(__name__)
NAMED = 5
"""Settings that are named where a recipe has others."""
OF_INDEX = ("catalog", *FROZEN)
"""What an index is made by."""


def recorded(store: Store, base: Address) -> Recipe:
    """The recipe of an index, up to its codes; what comes after them has its defaults.

    Raises:
        BusyError, ArtifactError: as `lineage`.
    """
    places = lineage(store, base)
    parts = {role: settings_of(noun_of(role), require(places[role], noun_of(role))) for role in in_flow(places)}
    modalities = {name_of(role): parts.pop(role) for role in list(parts) if name_of(role)}
    return Recipe(name=base.name, version=base.version, modalities=modalities, **parts)


def as_recorded(recipe: Recipe | None, store: Store, base: Address) -> Recipe:
    """A recipe that is to extend an index: what the index is made by as its records have it, the rest as it is.

    Where the data lie is the recipe's, where it says so. A catalogue that was appended to day by day is extended by a
    whole table like any other.

    Args:
        recipe: None for what the records alone say.
    """
    made = recorded(store, base)
    made = replace(made, catalog=replace(made.catalog, append=False, base=None))
    if recipe is None:
        return made
    own = {name: getattr(recipe, name) for name in OF_INDEX} | {"modalities": recipe.modalities}
    kept = {name: getattr(made, name) for name in own}
    others = [key for name in own for key in _others(name, kept[name], own[name])]
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        named = f"{', '.join(others[:NAMED])}{more}"
        LOG.info(f"the settings are those of {base}; recipe '{recipe.name}' has others of {named}")
    kept["catalog"] = replace(made.catalog, dataset=_placed(made.catalog.dataset, recipe.catalog.dataset))
    return replace(recipe, name=base.name, version=base.version, **kept)


def _others(role: str, kept: Any, own: Any) -> list[str]:
    """The keys of settings that bear identity and differ."""
    before, after = ({role: _identity(config)} for config in (kept, own))
    return [change.partition(":")[0] for change in differences(before, after)]


def _identity(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {name: _identity(each) for name, each in config.items()}
    return {key: value for key, value in to_record(config, identity=True).items() if key not in ADDED_BY_EXTENSION}


def _placed(made: Any, own: Any) -> Any:
    """A dataset whose places are those of another of its kind, where that names any."""
    if type(made) is not type(own):
        return made
    identity = flatten(to_record(own, identity=True))
    for key, value in leaves(own):
        if key not in identity and isinstance(value, str) and value:
            made = override(made, key, value)
    return made
