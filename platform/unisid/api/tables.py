"""Tables in memory: from pandas, Polars, Arrow and whatever else has the Arrow C data interface."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.store import Store
from unisid.artifacts.tables import write_given
from unisid.errors import DataError
from unisid.raw.texts import decoded_runs

ROWS_PER_GROUP = 1 << 20


def arrow_table(data: Any, where: str) -> pa.Table:
    """A table in memory as an Arrow table, without copying where the other library allows it.

    Args:
        data: a pandas or Polars DataFrame, an Arrow table or record batch, anything with `__arrow_c_stream__` or
            `__arrow_c_array__`, or a mapping of names to columns.
        where: what the table is, for errors.
    Raises:
        DataError: it is no table, or a column of it has no type that Arrow supports.
    """
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(data).read_all()
        if hasattr(data, "__arrow_c_array__"):
            return pa.Table.from_batches([pa.record_batch(data)])
        if isinstance(data, Mapping):
            return pa.table(dict(data))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: cannot be read as an Arrow table ({' '.join(str(error).split())}); each column must "
            "hold values of one type"
        ) from error
    raise DataError(
        f"{where}: is of type {type(data).__name__}; must be a path, or a table of pandas, Polars or "
        "Arrow (anything with __arrow_c_stream__)"
    )


def path_of(data: Any, store: Store, name: str) -> str:
    """Where a table lies: the path that is given, or that of a Parquet file of the store with its rows.

    The file is named for its content: the same rows are written once, and are the same data to every recipe.

    Args:
        name: what the table is, such as items.
    Raises:
        DataError: as `arrow_table`.
    """
    if isinstance(data, str | Path):
        return str(data)
    table = _plain(arrow_table(data, name)).combine_chunks()
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table, sink, row_group_size=ROWS_PER_GROUP)
    except pa.ArrowException as error:
        raise DataError(
            f"{name}{_refused(table)}: cannot be written as Parquet ({' '.join(str(error).split())}); leave that "
            "column out, or give it as texts, numbers or times"
        ) from error
    return write_given(store.root, name, sink.getvalue())


def _plain(table: pa.Table) -> pa.Table:
    """The table in the types that all libraries share: one type of text, of bytes and of list, all may be absent."""
    columns = [
        pa.chunked_array([_decoded(chunk) for chunk in values.chunks], _plain_type(values.type))
        for values in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _refused(table: pa.Table) -> str:
    """', column ...' of the first column that Parquet cannot hold."""
    for column in table.column_names if len(set(table.column_names)) == table.num_columns else ():
        try:
            pq.write_table(table.select([column]), pa.BufferOutputStream())
        except pa.ArrowException:
            return f", column '{column}'"
    return ""


def _decoded(values: pa.Array) -> pa.Array:
    """Values in a plain type; those of a dictionary or of runs, whose own type may be any, one by one."""
    if pa.types.is_dictionary(values.type):
        return _decoded(values.dictionary).take(values.indices)
    if pa.types.is_run_end_encoded(values.type):
        return _decoded(decoded_runs(values))
    return values.cast(_plain_type(values.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.large_list(_plain_type(kind.value_type))
    return kind


def rows_of(data: Any, where: str) -> list[Any]:
    """The values of a list, an Arrow array, or a column of pandas or Polars, as Python objects.

    Raises:
        DataError: it is one text, a mapping, or no list at all.
    """
    if isinstance(data, str | bytes | Mapping):
        raise DataError(f"{where}: is {data!r:.60}; must be a list")
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        try:
            found: list[Any] = (
                pa.chunked_array(data).to_pylist()
                if hasattr(data, "__arrow_c_stream__")
                else (pa.array(data).to_pylist())
            )
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: is {type(data).__name__}, which is no column ({' '.join(str(error).split())}); "
                "must be a list or one column"
            ) from error
        return found
    if not isinstance(data, Iterable):
        raise DataError(f"{where}: is {data!r:.60}; must be a list")
    return list(data)
