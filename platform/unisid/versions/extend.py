"""The recipe of version n + 1 of an index: that of version n, with every stage told what it goes on from.

The artifacts are the ordinary nouns under a new version, made by `pipeline.run`: so it resumes, skips what is complete,
refuses drift and tells MLflow as any recipe does.
"""

import dataclasses
from dataclasses import replace
from typing import Any

from unisid.artifacts.codes import Codes
from unisid.artifacts.lease import owner_of
from unisid.artifacts.record import RECORD, Record, require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.config import Json, differences, to_record
from unisid.errors import BusyError, ConfigError
from unisid.pipeline import Recipe
from unisid.stages.catalog import extend as catalog_extend
from unisid.stages.codes import extend as codes_extend
from unisid.stages.embeddings import extend as embeddings_extend
from unisid.stages.extension import Base
from unisid.stages.fused import extend as fused_extend
from unisid.stages.graph import extend as graph_extend

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
    bases = {noun: Base.of(place, noun) for noun, place in places.items()}
    records = {noun: require(place, noun) for noun, place in places.items()}
    refuse_changes(recipe, records)
    older = _older(Codes(places["codes"], records["codes"]))
    return replace(
        recipe,
        version=version,
        catalog=_as(catalog_extend.Config, recipe.catalog, base=bases["catalog"]),
        embeddings=_as(embeddings_extend.Config, recipe.embeddings, base=bases["embeddings"]),
        graph=_as(graph_extend.Config, recipe.graph, base=bases["graph"], known=bases["catalog"]),
        fused=_as(fused_extend.Config, recipe.fused, base=bases["fused"]),
        codes=_as(codes_extend.Config, recipe.codes, base=bases["codes"], older=older),
    )


def lineage(store: Store, base: Address) -> dict[str, Place]:
    """Where the index at an address and all that it was made from lie."""
    places = {"codes": store.place(base)}
    owner = owner_of(store, base.name, base.version)
    if owner is not None and not places["codes"].exists(RECORD):
        raise BusyError(f"index extend: {base} is not complete: {owner} has been at work on it since {owner.since}; "
                        "extend it when that run is over")  # fmt: skip
    codes = require(places["codes"], "codes")
    places |= {noun: require_input(store, codes, noun) for noun in ("fused", "catalog")}
    fused = require(places["fused"], "fused")
    return places | {noun: require_input(store, fused, noun) for noun in ("embeddings", "graph")}


def refuse_changes(recipe: Recipe, records: dict[str, Record]) -> None:
    """Raise ConfigError for settings that would give new items other codes than the base's own would have been."""
    changes = []
    for noun in FROZEN:
        before, after = records[noun].config, to_record(getattr(recipe, noun), identity=True)
        free = (*ADDED_BY_EXTENSION, *FREE.get(noun, ()))
        pair = ({key: value for key, value in one.items() if key not in free} for one in (before, after))
        changes += [f"{noun}.{change}" for change in differences(*pair)]
    before, after = ({key: r[key] for key in CATALOG} for r in (records["catalog"].config, to_record(recipe.catalog)))
    changes += [f"catalog.{change}" for change in differences(before, after)]
    encoders = (records["embeddings"].inputs.get("encoder"), recipe.embeddings.encoder.source())
    if _fingerprint(encoders[0]) != _fingerprint(encoders[1]):
        changes.append("the text encoder's weights: {} -> {}".format(*map(_named, encoders)))
    if changes:
        lines = "\n    ".join(changes)
        raise ConfigError(f"index extend: {records['codes'].address} was made with other settings:\n    {lines}\n"
                          "  An extension keeps those of its base, or new items' codes would mean something else; give "
                          "these, or build a new index under a name of its own")  # fmt: skip


def next_version(version: str) -> str:
    """'1' -> '2'; raises ConfigError where a version is no number."""
    if not version.isdecimal():
        raise ConfigError(f"index extend: version '{version}' is no number to count on from; name the new one: --to")
    return str(int(version) + 1)


def _as(config: type[Any], settings: Any, **more: Any) -> Any:
    return config(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}, **more)


def _older(codes: Codes) -> tuple[Base, ...]:
    entries = [entry for role, entry in codes.record.inputs.items() if role.startswith("base")]
    return tuple(Base(fingerprint=e["fingerprint"], address=e["address"]) for e in entries)


def _fingerprint(source: Json | None) -> Any:
    return None if source is None else source["fingerprint"]


def _named(source: Json | None) -> str:
    return "none" if source is None else f"{source['address']} ({source['fingerprint'][:12]})"
