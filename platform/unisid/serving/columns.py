"""Item attributes by column: id and title from the catalogue, and the columns of the shop's own table.

The shop's table (Parquet or CSV) has a column `item_id` and any others: price, stock, retailer. It may change more
often than the index, and is read anew when its file does. Items that it lacks have no values. N items.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from jaxtyping import Bool

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.serving.rules import compiled

KEY = "item_id"


@dataclass(frozen=True)
class Columns:
    """Column -> the items' values [N], in types that rules compare: true or false, numbers, texts, lists of these."""

    values: Mapping[str, pa.Array]
    unknown: int = 0
    """Rows of the shop's table whose item the catalogue lacks."""
    left: tuple[str, ...] = ()
    """Columns of the shop's table that no rule can compare."""

    @classmethod
    def of(cls, catalog: Catalog, table: pa.Table | None = None, where: str = "columns") -> "Columns":
        """The columns of a catalogue, and those of the shop's table.

        Raises:
            DataError: for a table without `item_id`, with an item twice, or with a column of the catalogue's.
        """
        own = {KEY: catalog.item_ids, "title": catalog.titles}
        own = {name: pc.cast(column, pa.string()) for name, column in own.items()}
        if table is None:
            return cls(own)
        if KEY not in table.column_names:
            raise DataError(f"{where}: has the columns {', '.join(table.column_names)}; must have '{KEY}'")
        keys = pc.cast(table[KEY].combine_chunks(), pa.string())
        named = pc.is_valid(keys)
        keys = keys.filter(named)
        if len(twice := _repeated(keys)):
            raise DataError(f"{where}: has the item '{twice[0]}' more than once; must have a row an item")
        rows = pc.index_in(own[KEY], value_set=keys)  # null where the table lacks the item
        values, left = dict(own), []
        for name in table.column_names:
            if name in own:
                continue
            column = _comparable(table[name].combine_chunks())
            if column is None:
                left.append(name)
            else:
                values[name] = column.filter(named).take(rows)
        unknown = len(keys) - pc.sum(pc.is_in(keys, value_set=own[KEY])).as_py() if len(keys) else 0
        return cls(values, unknown, tuple(left))

    def items(self, rule: str) -> Bool[np.ndarray, " N"]:
        """As `rules.compiled`."""
        return compiled(rule, self.values)


def read_table(path: str) -> pa.Table:
    """The shop's table, from a Parquet or CSV file; raises DataError where it cannot be read."""
    place = Place.of(path)
    name = place.name
    try:
        with pa.BufferReader(place.parent.read(name)) as source:
            if name.endswith((".csv", ".csv.gz")):
                return pyarrow.csv.read_csv(pa.CompressedInputStream(source, "gzip") if name.endswith("gz") else source)
            return pq.read_table(source)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: cannot be read as a table of items ({error}); must be a Parquet or CSV file with a column '{KEY}'"
        ) from error


def _repeated(keys: pa.Array) -> list[str]:
    counted = pc.value_counts(keys)
    found = counted.filter(pc.greater(counted.field("counts"), 1))
    return [str(key) for key in found.field("values").to_pylist()]


def _comparable(column: pa.Array) -> pa.Array | None:
    """The column in a type that rules compare; not-a-numbers are missing values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _comparable(pc.cast(column, kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _comparable_lists(column)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return pc.cast(column, pa.float64())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):  # '2026-01-31': as texts compare, so do days
        return pc.cast(column, pa.string())
    plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)
    return column if plain else None


def _comparable_lists(column: pa.Array) -> pa.Array | None:
    inner = _comparable(pc.list_flatten(column)) if not pa.types.is_nested(column.type.value_type) else None
    return None if inner is None else pc.cast(column, pa.list_(inner.type))
