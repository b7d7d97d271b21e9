"""The neighbour tables of the fused stage: what shares users with an item or lies near it in sequences, and whose text
is near.

Shards `structure-*.arrow` and `semantic-*.arrow`: `neighbours` [K] int32, nearest first, ended by -1; beside it
`fallback` (this item has no structure neighbour: its semantic neighbours stand in) and `recall` (the share of true
nearest neighbours that the search finds, measured on some of all items). N items, n of them, K neighbours, E
interactions, e of them.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.shards import Shards, missing_parts, shard_parts, to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.compute import Job, Metrics, Pool, Step
from unisid.config import Json
from unisid.log import logger
from unisid.ops.nearest import Nearest
from unisid.ops.neighbours import Incidence, Measure, co_occurrence
from unisid.ops.transitions import Weights, count_transitions
from unisid.progress import mapped
from unisid.stages.fused.reading import Reader

LOG = logger(__name__)

STRUCTURE, SEMANTIC = "structure", "semantic"
ROWS = 1 << 13
"""Items a shard: the grain of parallel work and of resuming."""
Relation = Measure | Literal["steps"]
"""What makes structure neighbours: users in common, by a measure, or steps of sequences."""
IN_WORDS: dict[Relation, str] = {"count": "shared users", "cosine": "shared users", "steps": "steps of sequences"}
BOTH_WAYS = Weights(backward=1.0)


def make_tables(
    job: Job[Any], reader: Reader, num_items: int, num_neighbours: int, exact_limit: int, relation: Relation, pool: Pool
) -> Json:
    """Write what is missing of both tables; returns what they hold, in numbers."""
    semantic = functools.partial(semantic_writer, reader, job.out, num_neighbours, exact_limit)
    structure = functools.partial(structure_writer, reader, job.out, num_neighbours, relation)
    for family, writer in ((SEMANTIC, semantic), (STRUCTURE, structure)):  # structure falls back on semantic
        missing = missing_parts(job.out, family, num_items, ROWS)
        for _ in mapped(job, missing, Step(writer, pool), "shards", of=family):
            pass
    counts = _summary(job.out, num_items)
    LOG.info(
        f"neighbours an item: {counts['structure_neighbours']:.1f} by {IN_WORDS[relation]}, "
        f"{counts['semantic_neighbours']:.1f} by text (recall {counts['semantic_recall']:.3f}); "
        f"{counts['structure_fallbacks']} items have none of the first and fall back on text"
    )
    return counts


def semantic_writer(
    reader: Reader, out: Place, num_neighbours: int, exact_limit: int
) -> Callable[[pa.Table], pa.Table]:
    """A part -> its shard of the table of nearest texts."""
    nearest = Nearest.build(reader.pooled(), num_neighbours, exact_limit=exact_limit)

    def write(part: pa.Table) -> pa.Table:
        shard, start, stop = _part(part)
        found = nearest.neighbours(start, stop)
        recall = np.full(len(found), nearest.recall, np.float32)
        write_shard(out, SEMANTIC, shard, pa.table({"neighbours": to_arrow(found), "recall": recall}))
        return part

    return write


def structure_writer(
    reader: Reader, out: Place, num_neighbours: int, relation: Relation
) -> Callable[[pa.Table], pa.Table]:
    """A part -> its shard of the table of structure neighbours."""
    found_of = structure_of(Catalog.read(reader.inputs["catalog"]), num_neighbours, relation, reader.sample)
    semantic = Shards(out, SEMANTIC)

    def write(part: pa.Table) -> pa.Table:
        shard, start, stop = _part(part)
        found = found_of(start, stop)
        alone = found[:, 0] < 0
        found[alone] = semantic.read("neighbours", np.arange(start, stop)[alone])
        write_shard(out, STRUCTURE, shard, pa.table({"neighbours": to_arrow(found), "fallback": alone}))
        return part

    return write


def structure_of(
    catalog: Catalog, num_neighbours: int, relation: Relation, sample: Int[np.ndarray, " n"] | None = None
) -> Callable[[int, int], Int[np.ndarray, "_ K"]]:
    """Items start to stop -> their structure neighbours, of training interactions, [stop - start, K].

    Args:
        sample: the numbers of these items alone, by whose places items are then given: what users took besides counts
            for nothing.
    """
    num_items = catalog.num_items if sample is None else len(sample)
    if relation == "steps":
        rows = catalog.split == TRAIN
        each = None if catalog.weight is None else catalog.weight[rows]
        users, items, each = _within(sample, catalog.num_items, catalog.user[rows], catalog.item[rows], each)
        ends = items.astype(np.int64), users.astype(np.int64)
        table, _ = count_transitions(*ends, num_items, BOTH_WAYS, num_neighbours, each)
        whole = table.items.numpy()
        return lambda start, stop: whole[start:stop].copy()
    edges, weights = catalog.training_edges(), catalog.training_weights()
    users, items, weights = _within(sample, catalog.num_items, *edges, weights)
    taken = Incidence.of(users, items, catalog.num_users, num_items, weights)
    return lambda start, stop: co_occurrence(taken, start, stop, num_neighbours, measure=relation)


def _within(
    sample: Int[np.ndarray, " n"] | None,
    num_items: int,
    users: Int[np.ndarray, " E"],
    items: Int[np.ndarray, " E"],
    weights: Float[np.ndarray, " E"] | None,
) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"], Float[np.ndarray, " e"] | None]:
    """The interactions with a sample's items, which are named by their places in it."""
    if sample is None:
        return users, items, weights
    place = np.full(num_items, -1, np.int32)
    place[sample] = np.arange(len(sample))
    kept = place[items] >= 0
    return users[kept], place[items[kept]], None if weights is None else weights[kept]


def neighbours(table: Shards, items: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n K"]:
    """Rows of a table."""
    return table.read("neighbours", items)


def _part(part: pa.Table) -> tuple[int, int, int]:
    row = part.to_pylist()[0]
    return row["shard"], row["start"], row["stop"]


def _summary(place: Place, num_items: int) -> Json:
    structure, semantic = Shards(place, STRUCTURE), Shards(place, SEMANTIC)
    totals = {STRUCTURE: 0, SEMANTIC: 0}
    for part in shard_parts(num_items, ROWS):
        rows = np.arange(part["start"], part["stop"])
        for family, table in ((STRUCTURE, structure), (SEMANTIC, semantic)):
            totals[family] += int((neighbours(table, rows) >= 0).sum())
    return {
        "structure_neighbours": totals[STRUCTURE] / num_items,
        "semantic_neighbours": totals[SEMANTIC] / num_items,
        "structure_fallbacks": int(structure.read("fallback").sum()),
        "semantic_recall": float(semantic.read("recall").mean()),
    }


def in_words(valid: Metrics, relation: Relation) -> str:
    """A line on the losses of held-out items beside chance; empty where there are none."""
    kinds = (
        (STRUCTURE, IN_WORDS[relation]),
        (SEMANTIC, "alike texts"),
        ("next", "next items"),
        ("alignment", "texts of the same items"),
    )
    parts = [
        f"{valid[name]:.3f} for {what} (by chance {valid[f'{name}_chance']:.3f})"
        for name, what in kinds
        if f"{name}_chance" in valid
    ]
    return f"loss of what was held out: {', '.join(parts)}" if parts else ""
