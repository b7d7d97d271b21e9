"""Makes the next version of an index: published semantic ids stay, new items get theirs from the frozen tokenizer.

A new item takes at each level the nearest code that a published item has after the same prefix, for a recommender that
was trained on the published ids generates no other; the last code is the nearest, if it is free, or another of the
prefix at the least total distance: the rules of `codes.unique`, with what is published already taken.
Table `added-*.parquet` says who got what: `item`, `item_id`, `sid`, `nearest`, which differs where a collision was
resolved, and `new`: false for an item that the base's catalog left out.
N items, M of them published, n new, L levels, l of them, G prefixes.
"""

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.shards import to_arrow
from unisid.artifacts.tables import write_table
from unisid.compute import Job, Step
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.evaluation import index as quality
from unisid.log import logger
from unisid.ops.assignment import ordinals
from unisid.ops.prefixes import row_keys
from unisid.ops.semantic_ids import spell_all
from unisid.progress import Mapper, ReportingMapper, mapped
from unisid.stages import codes as stage
from unisid.stages.codes.moments import row_parts
from unisid.stages.codes.unique import (
    Encoder,
    Taken,
    matrix,
    moved_distances,
    room_below,
    slices,
    unique_codes,
)
from unisid.stages.extension import base_of, take_over
from unisid.tokenizers import DESCRIPTION, WEIGHTS

LOG = logger(__name__)

ADDED, ROWS_PER_FILE = "added", 1 << 20


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog", "fused")


def sources(config: stage.Config) -> dict[str, Json]:
    """The index that is extended, and all that it extends: models trained on one of them may use this one."""
    bases = (base_of(config.base), *config.older)
    return {f"base-{number}" if number else "base": base.source() for number, base in enumerate(bases)}


def make(job: Job[stage.Config]) -> Json:
    """Encode, resolve, judge, write; the counts are those of `codes`, and what was added."""
    config = job.config
    base = Codes.read(base_of(config.base).open("codes"))
    catalog, vectors = Catalog.read(job.inputs["catalog"]), Fused.read(job.inputs["fused"]).shards
    check(config, base, catalog.num_items, len(vectors))
    take_over(base.place, job.out, (WEIGHTS, DESCRIPTION))
    encoder = Encoder(vectors, job.out, config.pool)
    nearest, error = stage.encode(job, encoder)
    published = len(base.codes)
    report = quality.describe(nearest, config.tokenizer.sizes) | {"reconstruction_error": error}
    LOG.info(f"{len(nearest) - published:,} items are added, {published:,} keep their semantic ids")
    telling = ReportingMapper(job, "parts", of="resolving")
    new, sizes, apart = base.codes[published:], base.sizes, 0  # of a day without new items, none
    if len(nearest) > published and config.unique == "assign":
        parts = [placed(job, telling, encoder, base, nearest, own) for own in slices(config.tokenizer.parts)]
        new = np.concatenate([own for own, _ in parts], axis=1)
        apart = int(np.any([alone for _, alone in parts], axis=0).sum())
    elif len(nearest) > published:
        taken = Taken.write(job.work / "taken", base.codes)
        usable = nearest_used(job, encoder, base.sizes, published, taken, nearest[published:])
        new, sizes = further_ordinals(base, usable)
        apart = int((taken.at(new[:, : len(sizes) - 1]) == 0).sum())
    codes = np.concatenate([base.codes, new])
    levels = config.tokenizer.num_levels
    report |= moved_distances(telling, config.pool, job.work, encoder, nearest, codes[:, :levels])
    if apart:
        LOG.warning(
            f"{apart:,} new items have a prefix that no published item has: no recommender that was "
            f"trained on {base.record.address} can generate it"
        )
    _say_growth(job, base, sizes)
    counts = stage.judged(job, catalog, vectors, codes, sizes, report)
    return counts | {"extension": _write_added(job, base, catalog, nearest, codes, sizes)}


def check(config: stage.Config, base: Codes, num_items: int, num_vectors: int) -> None:
    """Refuse inputs that are not of one catalogue, other level sizes, and a code space without room."""
    published, sizes = len(base.codes), config.tokenizer.sizes
    if num_vectors != num_items or num_items < published:
        raise DataError(
            f"codes: {num_vectors} vectors, {num_items} items in the catalog, {published} of them published in "
            f"{base.record.address}; must be one vector an item, and all that are published"
        )
    if base.sizes[: len(sizes)] != sizes or base.num_levels - len(sizes) != (config.unique == "append"):
        raise ConfigError(
            f"codes.tokenizer: levels of {list(sizes)} codes ({config.unique}), {base.record.address} has "
            f"{list(base.sizes)}; an index keeps its levels: extend it with its own settings, or build a new one"
        )
    room = math.prod(sizes)
    if config.unique == "assign" and room < num_items:
        raise DataError(
            f"codes: {base.record.address} names {room:,} items at most and {room - published:,} semantic ids are "
            f"free, the catalogue has {num_items - published:,} new items; build a new index with more levels or "
            "larger codebooks"
        )


def placed(
    job: Job[stage.Config], telling: Mapper, encoder: Encoder, base: Codes, nearest: Int[np.ndarray, "N L"], own: slice
) -> tuple[Int[np.ndarray, "n l"], Bool[np.ndarray, " n"]]:
    """Codes of new items in the levels of one part of the ids, none of them taken; and whether no published item
    has the prefix of each."""
    published, sizes = len(base.codes), base.sizes[own]
    if len(sizes) < base.num_levels:
        encoder = replace(encoder, levels=(own.start, own.stop))
    taken = Taken.write(job.work / f"taken-{own.start}", base.codes[:, own])
    usable = nearest_used(job, encoder, sizes, published, taken, nearest[published:, own])
    config = job.config
    new = unique_codes(telling, config.pool, job.work, encoder, usable, sizes, taken, published)
    return new, taken.at(new[:, :-1]) == 0


def nearest_used(
    job: Job[stage.Config],
    encoder: Encoder,
    sizes: tuple[int, ...],
    published: int,
    taken: Taken,
    nearest: Int[np.ndarray, "n L"],
) -> Int[np.ndarray, "n L"]:
    """Codes of new items: at every level but the index's last the nearest that is used after the prefix and has
    room below; where there is none, the nearest of all."""
    codes = nearest.copy()
    step = Step(functools.partial(_along_used, encoder, taken, sizes, published, codes.shape[1]), job.config.pool)
    for table in mapped(job, row_parts(len(codes)), step, "parts", of="placing"):
        start = table["row"][0].as_py()
        codes[start : start + len(table)] = matrix(table["codes"])
    return codes


def _along_used(encoder: Encoder, taken: Taken, sizes: tuple[int, ...], first: int, levels: int) -> Any:
    tokenizer = encoder.tokenizer()

    @torch.no_grad()
    def step(part: pa.Table) -> pa.Table:
        rows = np.arange(part["start"][0].as_py(), part["stop"][0].as_py())
        latents = tokenizer.latent(tokenizer.standardise(encoder.read(tokenizer, first + rows)))
        prefix = torch.empty(len(rows), 0, dtype=torch.long, device=latents.device)
        for level, size in enumerate(sizes[:-1]):
            held, group = _groups(prefix.cpu().numpy().astype(np.int32))
            count = taken.below(held, size)
            open_ = (count > 0) & (count < room_below(sizes, level))
            open_ |= ~open_.any(1, keepdims=True)
            far = tokenizer.distances(latents, prefix)
            closed = torch.from_numpy(~open_[group]).to(far.device)
            prefix = torch.cat([prefix, far.masked_fill(closed, torch.inf).argmin(1, keepdim=True)], 1)
        codes = tokenizer.complete(latents, prefix) if prefix.shape[1] < levels else prefix
        return pa.table({"row": rows, "codes": to_arrow(codes.int().cpu().numpy())})

    return step


def _groups(prefixes: Int[np.ndarray, "n l"]) -> tuple[Int[np.ndarray, "G l"], Int[np.ndarray, " n"]]:
    """The distinct prefixes, and which of them each row has."""
    _, first, group = np.unique(row_keys(prefixes), return_index=True, return_inverse=True)
    return prefixes[first], group.reshape(-1)


def further_ordinals(base: Codes, nearest: Int[np.ndarray, "n l"]) -> tuple[Int[np.ndarray, "n l+1"], tuple[int, ...]]:
    """TIGER's form: new items count on where the published ones of their tuple end; the last level grows if it must."""
    sizes = base.sizes[:-1]
    last, keys = base.codes[:, -1], row_keys(np.concatenate([base.codes[:, :-1], nearest]))
    keys, mine = keys[: len(last)], keys[len(last) :]
    known, place = np.unique(keys, return_inverse=True)
    used = np.zeros(len(known), np.int64)
    np.maximum.at(used, place, last.astype(np.int64) + 1)
    near = np.minimum(np.searchsorted(known, mine), len(known) - 1)
    ordinal = ordinals(mine) + np.where(known[near] == mine, used[near], 0)
    codes = np.column_stack([nearest, ordinal]).astype(np.int32)
    return codes, (*sizes, max(base.sizes[-1], int(ordinal.max()) + 1))


def _say_growth(job: Job[stage.Config], base: Codes, sizes: tuple[int, ...]) -> None:
    if sizes != base.sizes:
        LOG.warning(
            f"the counting level grew from {base.sizes[-1]} to {sizes[-1]} codes; a recommender that was "
            f"trained on {base.record.address} has no token for them, and must be trained anew"
        )


def _write_added(
    job: Job[stage.Config],
    base: Codes,
    catalog: Catalog,
    nearest: Int[np.ndarray, "N _"],
    codes: Int[np.ndarray, "N L"],
    sizes: tuple[int, ...],
) -> Json:
    """The table of added items; and in numbers: kept, new, readmitted, resolved, and the level sizes of every older
    version."""
    published, again = len(base.codes), catalog.readmitted()
    if job.config.unique == "append":  # an item alone in its tuple is its first
        nearest = np.column_stack([nearest, np.zeros(len(nearest), np.int32)])
    for index, start in enumerate(range(published, len(codes), ROWS_PER_FILE)):
        rows = slice(start, min(start + ROWS_PER_FILE, len(codes)))
        columns = {"item": np.arange(rows.start, rows.stop), "item_id": catalog.item_ids[rows.start : rows.stop]}
        columns |= {"sid": spell_all(codes[rows]), "nearest": spell_all(nearest[rows])}
        columns |= {"new": [name not in again for name in columns["item_id"].to_pylist()]}
        write_table(job.out, ADDED, index, pa.table(columns))
    resolved = int((nearest[published:] != codes[published:]).any(1).sum())
    LOG.info(f"{resolved:,} of {len(codes) - published:,} added items found their nearest semantic id taken")
    trained_on = base.extension.get("spoken", {}) | {base.record.fingerprint: list(base.sizes)}
    return {
        "base": base.record.address,
        "kept": published,
        "new": len(codes) - published - len(again),
        "readmitted": len(again),
        "resolved": resolved,
        "spoken": trained_on,
    }
