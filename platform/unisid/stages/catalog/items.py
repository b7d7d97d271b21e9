"""The items of a catalog that goes on from another: its base's as they are, then new ones. N items."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from unisid.artifacts.catalog import READMITTED, Catalog
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table, table_names, write_table, write_tables
from unisid.compute import Job
from unisid.errors import DataError
from unisid.log import logger
from unisid.stages import catalog as stage
from unisid.stages.extension import take_over

LOG = logger(__name__)

SHOWN = 3
"""How many items a message names."""


def changed_texts(job: Job[stage.Config], base: Catalog, found: pa.Table, number: Int[np.ndarray, " N"]) -> int:
    """How many published items have another text now; it is said, and their text stays as it was."""
    published = np.flatnonzero(number < base.num_items)
    before = read_table(base.place, "items", ["text"])["text"].take(number[published]).cast(pa.string())
    after = found["text"].take(published).cast(pa.string())
    changed = published[pc.not_equal(before, after).to_numpy()]
    if len(changed):
        LOG.info(
            f"{len(changed)} published items have another text now: {named(found['item_id'].take(changed))}; "
            "their semantic ids, and the text that these were made from, stay as published"
        )
    return len(changed)


def write_items_after(out: Place, base: Catalog, added: pa.Table) -> dict[str, int]:
    """Write the base's files as they are, then files of the added items with the same columns; returns how many are new
    and how many the base left out, whose ids have a table of their own."""
    names = table_names(base.place, "items")
    schema = read_table(base.place, "items").schema
    missing = [name for name in schema.names if name not in added.column_names]
    if missing:
        raise DataError(
            f"catalog: the new items lack the columns {', '.join(missing)} that {base.record.address} has; "
            "give them, empty where nothing is known"
        )
    take_over(base.place, out, names)
    same = added.select(schema.names).cast(schema)
    for index, start in enumerate(range(0, same.num_rows, stage.ITEMS_PER_FILE), len(names)):
        write_table(out, "items", index, same.slice(start, stage.ITEMS_PER_FILE))
    ids = added["item_id"].cast(pa.string())
    again = ids.filter(pc.is_in(ids, value_set=pa.array(list(base.left_out()), pa.string())))
    if len(again):
        write_tables(out, READMITTED, [pa.table({"item_id": again})])
    return {"new": added.num_rows - len(again), "readmitted": len(again)}


def named(ids: Any) -> str:
    """The first of some ids, for a message."""
    shown = ", ".join(f"'{name}'" for name in ids[:SHOWN].to_pylist())
    return shown + (", ..." if len(ids) > SHOWN else "")
