"""Makes the next version of a catalog: its items keep their numbers, those of a larger table come after them.

The raw data are read by the catalog's own stage, under the given settings, and numbered anew: so interactions, users
and splits are those of the new data. Published items keep the text that their semantic ids were made from. N items.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.artifacts.catalog import LEFT_OUT, Catalog, write_interactions
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table, table_names, write_table
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import DataError
from unisid.stages import catalog as stage
from unisid.stages.extension import base_of, take_over

SHOWN = 3
"""How many items a message names."""


def inputs(config: stage.Config) -> tuple[str, ...]:
    """No noun of its own version."""
    return ()


def sources(config: stage.Config) -> dict[str, Json]:
    """The raw data, and the catalog that is extended."""
    return stage.sources(config) | {"base": base_of(config.base).source()}


def make(job: Job[stage.Config]) -> Json:
    """Write the catalog to `job.out`; its statistics, and how many items were added."""
    base, read = Catalog.read(base_of(job.config.base).open("catalog")), job.work / "read"
    read.clear()
    counts = stage.make(dataclasses.replace(job, out=read))
    found = read_table(read, "items")
    number = renumbered(base, found["item_id"].combine_chunks())
    added = found.filter(pa.array(number >= base.num_items))
    changed = _changed_texts(job, base, found, number)
    _write_items(job.out, base, added)
    for name in (*table_names(read, "users"), *table_names(read, LEFT_OUT)):
        job.out.take(name, read)
    rows = read_table(read, "interactions")
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    write_interactions(job.out, **columns | {"item": number[columns["item"]]})
    before = base.left_out()
    again = pc.sum(pc.is_in(added["item_id"], value_set=pa.array(list(before), pa.string()))).as_py() or 0
    more = f", {again:,} of them items that {base.record.address} left out" if again else ""
    job.say(f"{added.num_rows:,} items come after the {base.num_items:,} published ones{more}")
    extension = {"published": base.num_items, "added": added.num_rows, "left_out_before": again}
    return counts | {"extension": extension | {"changed_texts": changed}}


def renumbered(base: Catalog, found: pa.Array) -> NDArray[np.int64]:
    """The numbers [N] of the items that were found: a published item's own, the others' in their order after these.

    Raises DataError where a published item is not among them, or no other is.
    """
    gone = base.item_ids.filter(pc.invert(pc.is_in(base.item_ids, value_set=found)))
    if len(gone):
        raise DataError(
            f"catalog: {len(gone)} of the {base.num_items} items of {base.record.address} are not in the new "
            f"catalogue: {_named(gone)}; a published semantic id is never given to another item: keep such items in "
            "the table (what may be recommended is a question of serving), and check catalog.title_rules"
        )
    known = pc.index_in(found, value_set=base.item_ids)
    new = known.is_null().to_numpy(zero_copy_only=False)
    if not new.any():
        raise DataError(
            f"catalog: all {len(found)} items have their semantic ids in {base.record.address} already; "
            "an extension needs an item that is new"
        )
    after = base.num_items + np.cumsum(new) - 1
    return np.where(new, after, pc.fill_null(known, 0).to_numpy().astype(np.int64))


def _changed_texts(job: Job[stage.Config], base: Catalog, found: pa.Table, number: NDArray[np.int64]) -> int:
    """How many published items have another text now; it is said, and their text stays as it was."""
    published = np.flatnonzero(number < base.num_items)
    before = read_table(base.place, "items", ["text"])["text"].take(number[published]).cast(pa.string())
    after = found["text"].take(published).cast(pa.string())
    changed = published[pc.not_equal(before, after).to_numpy()]
    if len(changed):
        job.say(
            f"{len(changed)} published items have another text now: {_named(found['item_id'].take(changed))}; "
            "their semantic ids, and the text that these were made from, stay as published"
        )
    return len(changed)


def _write_items(out: Place, base: Catalog, added: pa.Table) -> None:
    """The base's files as they are, then files of the new items with the same columns."""
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


def _named(ids: Any) -> str:
    shown = ", ".join(f"'{name}'" for name in ids[:SHOWN].to_pylist())
    return shown + (", ..." if len(ids) > SHOWN else "")
