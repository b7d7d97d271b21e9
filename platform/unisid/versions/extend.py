"""The recipe of version n + 1 of an index: that of version n, with every stage given its base.

The artifacts are the ordinary nouns under a new version, made by `pipeline.run`: so it resumes, skips what is complete,
refuses drift and logs to MLflow as any recipe does.
"""

from dataclasses import replace
from typing import Any

from unisid.artifacts.codes import Codes
from unisid.artifacts.lease import owner_of
from unisid.artifacts.record import RECORD, Record, require, require_input
from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import Address, Place, Store
from unisid.config import Json, differences, to_record
from unisid.errors import BusyError, ConfigError
from unisid.planning import Recipe
from unisid.recipe_roles import config_of, key_of, roles_of
from unisid.stages import embeddings
from unisid.stages.extension import Base
from unisid.stages.joint import FIRST

FROZEN = ("embeddings", "graph", "fused", "codes")
"""The nouns whose settings an extension must leave as they were."""
FREE = {"codes": ("gate",)}
"""What of them may change all the same."""
CATALOG = ("text", "history_length")
"""What of the catalog must not change: an item's text must be made as ever, and a model reads so much of a history."""
ADDED_BY_EXTENSION = ("base", "older", "known")


def extended(recipe: Recipe, store: Store, base: Address, version: str) -> Recipe:
    """The recipe, its data now those of a larger catalogue, as a version that extends the index at `base`.

    Raises:
        BusyError: where the base is being made.
        ArtifactError: where the base or what it was made from is not complete.
        ConfigError: where a setting or an encoder differs from the base's, or the version is the base's own.
    """
    if (recipe.name, version) == (base.name, base.version):
        raise ConfigError(f"index extend: {base} cannot extend itself; name another version (--to)")
    places = lineage(store, base)
    bases = {role: Base.of(place, noun_of(role)) for role, place in places.items()}
    records = {role: require(place, noun_of(role)) for role, place in places.items()}
    refuse_changes(recipe, records)
    older = _older(Codes(places["codes"], records["codes"]))
    return replace(
        recipe,
        version=version,
        catalog=replace(recipe.catalog, base=bases["catalog"]),
        embeddings=replace(recipe.embeddings, base=bases["embeddings"]),
        modalities={name: replace(each, base=bases[f"embeddings.{name}"]) for name, each in recipe.modalities.items()},
        graph=replace(recipe.graph, base=bases["graph"], known=bases["catalog"]),
        fused=replace(recipe.fused, base=bases["fused"]),
        codes=replace(recipe.codes, base=bases["codes"], older=older),
    )


def lineage(store: Store, base: Address) -> dict[str, Place]:
    """Where the index at an address and all that it was made from lie."""
    places = {"codes": store.place(base)}
    owner = owner_of(store, base.name, base.version)
    if owner is not None and not places["codes"].exists(RECORD):
        raise BusyError(
            f"index extend: {base} is not complete: {owner} has been at work on it since {owner.since}; "
            "extend it when that run is over"
        )
    codes = require(places["codes"], "codes")
    places |= {noun: require_input(store, codes, noun) for noun in ("fused", "catalog")}
    fused = require(places["fused"], "fused")
    roles = [role for role in fused.inputs if noun_of(role) == "embeddings"]
    return places | {role: require_input(store, fused, role) for role in in_flow({"embeddings", "graph", *roles})}


def refuse_changes(recipe: Recipe, records: dict[str, Record]) -> None:
    """Raise ConfigError for settings that would give new items other codes than the base's own would have been."""
    changes = []
    roles = (role for role in roles_of(recipe) if noun_of(role) in FROZEN and role != FIRST)
    given = {role: config_of(recipe, role) for role in roles}
    for role in in_flow({*given, *(role for role in records if noun_of(role) in FROZEN)}):
        if role not in given or role not in records:
            changes.append(f"{key_of(role)}: {'in the base alone' if role in records else 'not in the base'}")
            continue
        before, after = records[role].config, to_record(given[role], identity=True)
        free = (*ADDED_BY_EXTENSION, *FREE.get(role, ()))
        pair = ({key: value for key, value in one.items() if key not in free} for one in (before, after))
        changes += [f"{key_of(role)}.{change}" for change in differences(*pair)]
        if noun_of(role) == "embeddings" and not given[role].encoder.grows:
            changes += _other_encoder(records[role], given[role], role)
    before, after = ({key: r[key] for key in CATALOG} for r in (records["catalog"].config, to_record(recipe.catalog)))
    changes += [f"catalog.{change}" for change in differences(before, after)]
    if changes:
        lines = "\n    ".join(changes)
        raise ConfigError(
            f"index extend: {records['codes'].address} was made with other settings:\n    {lines}\n"
            "  An extension keeps those of its base, or new items' codes would mean something else; give "
            "these, or build a new index under a name of its own"
        )


def next_version(version: str) -> str:
    """'1' -> '2'; raises ConfigError where a version is no number."""
    if not version.isdecimal():
        raise ConfigError(f"index extend: version '{version}' is no number to count on from; name the new one: --to")
    return str(int(version) + 1)


def _other_encoder(record: Record, config: embeddings.Config, role: str) -> list[str]:
    """The error's text where the encoder's weights differ from the base's."""
    encoders = (record.inputs.get("encoder"), config.encoder.source())
    if _fingerprint(encoders[0]) == _fingerprint(encoders[1]):
        return []
    whose = f"{name_of(role)}'s" if name_of(role) else "text"
    return ["the {} encoder's weights: {} -> {}".format(whose, *map(_named, encoders))]


def _older(codes: Codes) -> tuple[Base, ...]:
    entries = [entry for role, entry in codes.record.inputs.items() if role.startswith("base")]
    return tuple(Base(fingerprint=e["fingerprint"], address=e["address"]) for e in entries)


def _fingerprint(source: Json | None) -> Any:
    return None if source is None else source["fingerprint"]


def _named(source: Json | None) -> str:
    return "none" if source is None else f"{source['address']} ({source['fingerprint'][:12]})"
