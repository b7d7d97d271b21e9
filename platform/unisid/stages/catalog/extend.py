"""Makes the next version of a catalog: its items keep their numbers, those of a larger table come after them.

With `append` the table holds only what is new (`append.py`). Otherwise the raw data are read by the catalog's own
stage, under the given settings, and numbered anew: so interactions, users and splits are those of the new data.
Published items keep the text that their semantic ids were made from. N items.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from unisid.artifacts.catalog import INTERACTIONS_PER_GROUP, LEFT_OUT, Catalog, interactions_table
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_groups, read_table, table_names, write_stream
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import DataError
from unisid.log import logger
from unisid.stages import catalog as stage
from unisid.stages.catalog import append
from unisid.stages.catalog.items import changed_texts, named, write_items_after
from unisid.stages.extension import base_of

LOG = logger(__name__)


def inputs(config: stage.Config) -> tuple[str, ...]:
    """No noun of its own version."""
    return ()


def sources(config: stage.Config) -> dict[str, Json]:
    """The raw data, and the catalog that is extended."""
    return stage.sources(config) | {"base": base_of(config.base).source()}


def make(job: Job[stage.Config]) -> Json:
    """Write the catalog to `job.out`; its statistics, and how many items are new."""
    if job.config.append:
        return append.make(job)
    base, read = Catalog.read(base_of(job.config.base).open("catalog")), job.work / "read"
    read.clear()
    counts = stage.make(dataclasses.replace(job, out=read))
    number = renumbered(base, read_table(read, "items", ["item_id"])["item_id"].combine_chunks())
    pieces, ends = list[pa.Table](), 0
    for table in read_groups(read, "items"):
        own, ends = number[ends : ends + table.num_rows], ends + table.num_rows
        pieces.append(table.filter(pa.array(own >= base.num_items)))
    added = pa.concat_tables(pieces)
    changed = changed_texts(base, read_groups(read, "items", ["item_id", "text"]), number)
    extension = {"published": base.num_items} | write_items_after(job.out, base, added)
    for name in (*table_names(read, "users"), *table_names(read, LEFT_OUT)):
        job.out.take(name, read)
    write_stream(job.out, "interactions", 0, _rows(read, number), rows_per_group=INTERACTIONS_PER_GROUP)
    more = f", and {extension['readmitted']:,} that {base.record.address} left out" if extension["readmitted"] else ""
    LOG.info(f"{extension['new']:,} new items come after the {base.num_items:,} published ones{more}")
    return counts | {"extension": extension | {"changed_texts": changed}}


def _rows(read: Place, number: Int[np.ndarray, " N"]) -> Iterator[pa.Table]:
    """The interactions with their items' numbers, a row group at a time."""
    for table in read_groups(read, "interactions"):
        columns = {name: table[name].to_numpy() for name in table.column_names}
        yield interactions_table(**columns | {"item": number[columns["item"]]})


def renumbered(base: Catalog, found: pa.Array) -> Int[np.ndarray, " N"]:
    """The numbers of the items that were found: a published item's own, the others' in their order after these.

    Raises DataError where a published item is not among them, or no other is.
    """
    gone = base.item_ids.filter(pc.invert(pc.is_in(base.item_ids, value_set=found)))
    if len(gone):
        raise DataError(
            f"catalog: {len(gone)} of the {base.num_items} items of {base.record.address} are not in the new "
            f"catalogue: {named(gone)}; a published semantic id is never given to another item: keep such items in "
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
