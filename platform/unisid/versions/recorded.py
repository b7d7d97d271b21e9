"""The recipe of an index and a recommender, as their records have it: who goes on from them has nothing to repeat."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from unisid.artifacts.record import Record, read_record, require, require_input
from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import Address, Place, Store
from unisid.config import differences, flatten, from_record, leaves, override, to_record
from unisid.datasets import tables
from unisid.log import logger
from unisid.planning import Recipe
from unisid.stages import align
from unisid.stages.flow import settings_of
from unisid.training.loop import Training
from unisid.versions.extend import ADDED_BY_EXTENSION, FROZEN, lineage
from unisid.versions.update import APPENDED, note_place, read_note

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


def as_recorded(recipe: Recipe | None, store: Store, base: Address, model: Place | None = None) -> Recipe:
    """A recipe that is to extend an index: what the index is made by as its records have it, the rest as it is.

    Where the data lie is the recipe's, where it says so. A catalogue that was appended to day by day is extended by a
    whole table like any other.

    Args:
        recipe: None for what the records alone say.
        model: a recommender that is to go on too, by its own records.

    Raises:
        BusyError, ArtifactError: as `lineage`; or what the recommender was made from is gone.
    """
    made = recorded(store, base)
    made = replace(made, catalog=replace(made.catalog, append=False, base=None))
    learned = {} if model is None else _learned(store, model)
    made = replace(made, **learned)
    if recipe is None:
        return replace(made, metrics=_measured(store, model)) if model is not None else made
    names = (*OF_INDEX, "modalities", *learned)
    kept, own = ({name: getattr(one, name) for name in names} for one in (made, recipe))
    others = [key for name in names for key in _others(name, kept[name], own[name], () if model is None else APPENDED)]
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        named = f"{', '.join(others[:NAMED])}{more}"
        whose = base if model is None else f"{base} and {model.address}"
        LOG.info(f"the settings are those of {whose}; recipe '{recipe.name}' has others of {named}")
    dataset = _placed(made.catalog.dataset, recipe.catalog.dataset)
    if model is not None and not isinstance(dataset, tables.Config):  # a day comes as tables, whatever came first
        dataset = recipe.catalog.dataset
    kept["catalog"] = replace(made.catalog, dataset=dataset)
    return replace(recipe, name=base.name, version=base.version, **kept)


def _learned(store: Store, model: Place) -> dict[str, Any]:
    """The settings that a recommender was made by: its own and those of what it learned from."""
    record = require(model, "model")
    config = settings_of("model", record)
    aligned = config if isinstance(config, align.Config) else None
    own: Any = config if aligned is None else aligned.recommender
    training = read_trained_by(store, record) or own.training
    found = {"model": replace(own, training=training, starts_from=None), "align": aligned, "instructions": None}
    records = [record]
    while records:
        one = records.pop()
        for noun in ("sequences", "instructions", "keywords"):
            if noun in one.inputs and found.get(noun) is None:
                records.append(require(require_input(store, one, noun), noun))
                found[noun] = settings_of(noun, records[-1])
    return found


def read_trained_by(store: Store, record: Record) -> Training | None:
    """How a recommender was trained before days were taken in, at lower rates; None where it is of no update."""
    note = read_note(note_place(store, Address.parse(record.address)))
    return from_record(Training, note["training"]) if note.get("new") == record.address and "training" in note else None


def _measured(store: Store, model: Place) -> Any:
    """How a recommender was measured, where its metrics are there; else by default."""
    address = Address.parse(require(model, "model").address)
    record = read_record(store.place(replace(address, noun="metrics")))
    return Recipe().metrics if record is None else settings_of("metrics", record)


def _others(role: str, kept: Any, own: Any, but: Collection[str] = ()) -> list[str]:
    """The keys of settings that bear identity and differ."""
    before, after = ({role: _identity(config)} for config in (kept, own))
    keys = (change.partition(":")[0] for change in differences(before, after))
    return [key for key in keys if key not in but]


def _identity(config: Any) -> Any:
    if config is None:
        return None
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
