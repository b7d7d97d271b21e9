"""The items of a catalog that goes on from another: its base's as they are, then new ones. N items."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from unisid.artifacts.catalog import READMITTED, Catalog
from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, read_groups, table_names, write_table, write_tables
from unisid.errors import DataError
from unisid.log import logger
from unisid.stages import catalog as stage
from unisid.stages.catalog.numbering import hashes
from unisid.stages.extension import take_over

LOG = logger(__name__)

SHOWN = 3
"""How many items a message names."""


def changed_texts(base: Catalog, found: Iterable[pa.Table], number: Int[np.ndarray, " N"]) -> int:
    """How many published items have another text now; it is said, and their text stays as it was.

    Texts are compared by a hash of 64 bits: those of all items may be more than there is memory.

    Args:
        found: the items as they are now, with `item_id` and `text`, a table after another.
        number: of each of these items.
    """
    groups = read_groups(base.place, "items", ["text"])
    before = np.concatenate([np.empty(0, np.uint64), *(hashes(table["text"], 0) for table in groups)])
    count, shown, start = 0, list[str](), 0
    for table in found:
        own, start = number[start : start + table.num_rows], start + table.num_rows
        published = np.flatnonzero(own < base.num_items)
        changed = published[before[own[published]] != hashes(table["text"].take(published), 0)]
        count += len(changed)
        shown += table["item_id"].take(changed[: SHOWN + 1 - len(shown)]).to_pylist()
    if count:
        LOG.info(
            f"{count} published items have another text now: {named(pa.array(shown, pa.string()))}; "
            "their semantic ids, and the text that these were made from, stay as published"
        )
    return count


def write_items_after(out: Place, base: Catalog, added: pa.Table) -> dict[str, int]:
    """Write the base's files as they are, then files of the added items with the same columns; returns how many are new
    and how many the base left out, whose ids have a table of their own."""
    names = table_names(base.place, "items")
    schema = open_table(base.place, names[0]).schema_arrow
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
