"""Makes the next version of a graph: the base's items as they are, and new ones with zero vectors.

A new item has zero layers and degree 0, even where it has interactions: the graph is frozen, and they count when it
is learned anew. Users are found by their ids; those that are not in the base have zero vectors. N items, U users.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.graph import ITEMS, USERS, Graph
from unisid.artifacts.shards import Shards, to_arrow, write_array, write_shard
from unisid.compute import Job
from unisid.config import Json
from unisid.stages import graph as stage
from unisid.stages.extension import base_of, further_parts, take_shards


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog",)


def sources(config: stage.Config) -> dict[str, Json]:
    """The graph that is extended, and its catalog."""
    return {"base": base_of(config.base).source(), "known": base_of(config.known).source()}


def make(job: Job[stage.Config]) -> Json:
    """Write both tables; the base's counts, as far as they still hold."""
    config = job.config
    catalog, base = Catalog.read(job.inputs["catalog"]), Graph.read(base_of(config.base).open("graph"))
    added = catalog.num_items - len(base.items)
    take_shards(base.place, job.out, ITEMS)
    for part in further_parts(base.items, job.out, catalog.num_items, stage.SHARD_ROWS):
        rows = part["stop"] - part["start"]
        layers = np.zeros((rows, base.num_layers * base.width), np.float32)
        degree = pa.array(np.zeros(rows, np.int32))
        write_shard(job.out, ITEMS, part["shard"], pa.table({"layers": to_arrow(layers), "degree": degree}))
    old = Catalog.read(base_of(config.known).open("catalog"))
    number = pc.index_in(catalog.user_ids, value_set=old.user_ids)
    known = number.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.zeros((catalog.num_users, base.width), np.float32)
    vectors[known] = Shards(base.place, USERS).read("vector", number.drop_null().to_numpy().astype(np.int64))
    write_array(job.out, USERS, {"vector": vectors}, stage.SHARD_ROWS)
    return base.record.counts | {
        "users": catalog.num_users,
        "items": catalog.num_items,
        "isolated_users": base.record.count("isolated_users") + int((~known).sum()),
        "isolated_items": base.record.count("isolated_items") + added,
    }
