"""Row-numbered tables in Arrow IPC shards: written whole, memory-mapped, read by random access without a copy.

Shard s of a family holds rows [s * shard_rows, (s + 1) * shard_rows); only the last may be shorter. Vectors are
`fixed_size_list<float>`; ragged matrices (an item's token states, [n_i, D]) are `list<fixed_size_list<halffloat>>`.
N items, D width.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
from numpy.typing import NDArray

from unisid.artifacts.reading import check, damaged, whole
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError


def shard_name(family: str, index: int) -> str:
    """'states', 3 -> 'states-00003.arrow'."""
    return f"{family}-{index:05d}.arrow"


def write_shard(place: Place, family: str, index: int, table: pa.Table) -> None:
    """Write one shard, uncompressed, in one record batch; it appears whole or not at all."""
    with place.writing(shard_name(family, index)) as stream, ipc.new_file(stream, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)


def write_array(place: Place, family: str, columns: dict[str, NDArray[Any]], shard_rows: int = 1 << 18) -> None:
    """Write whole arrays [N, ...] as shards of a family; arrays of more than one dimension become vectors."""
    num_rows = len(next(iter(columns.values())))
    for index, start in enumerate(range(0, max(num_rows, 1), shard_rows)):
        part = {name: to_arrow(array[start : start + shard_rows]) for name, array in columns.items()}
        write_shard(place, family, index, pa.table(part))


def to_arrow(array: NDArray[Any]) -> pa.Array:
    """[N] -> a plain column; [N, ...] -> fixed-size lists of the flattened rest."""
    if array.ndim == 1:
        return pa.array(array)
    width = int(np.prod(array.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), width)


def to_ragged(values: NDArray[Any], lengths: NDArray[Any]) -> pa.Array:
    """Values [sum n_i, D] and lengths [N] -> list<fixed_size_list<D>>."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), to_arrow(values))


def shard_indices(place: Place, family: str) -> list[int]:
    """The numbers of the shards that are there."""
    prefix, suffix = f"{family}-", ".arrow"
    names = [n for n in place.sizes() if n.startswith(prefix) and n.endswith(suffix)]
    return sorted(int(n[len(prefix) : -len(suffix)]) for n in names)


def shard_parts(num_rows: int, shard_rows: int) -> list[dict[str, Any]]:
    """A table cut into shards, a part of work each: the shard's number, its first row and the row after its last."""
    return [
        {"shard": shard, "start": start, "stop": min(start + shard_rows, num_rows)}
        for shard, start in enumerate(range(0, num_rows, shard_rows))
    ]


def missing_parts(place: Place, family: str, num_rows: int, shard_rows: int) -> list[dict[str, Any]]:
    """The parts of a family whose shards are not there yet."""
    present = set(shard_indices(place, family))
    return [part for part in shard_parts(num_rows, shard_rows) if part["shard"] not in present]


@dataclass(frozen=True)
class Shards:
    """Random access to the rows of a family. Opens lazily, so it is cheap to send to a worker."""

    place: Place
    family: str

    @property
    def tables(self) -> list[pa.Table]:
        """The shards, opened and memory-mapped, in order."""
        return [table for _, table in self._opened]

    @functools.cached_property
    def _opened(self) -> list[tuple[Any, pa.Table]]:
        """The shards' bytes, not yet compared with their checksums, and what they hold."""
        indices = shard_indices(self.place, self.family)
        if indices != list(range(len(indices))) or not indices:
            raise ArtifactError(f"{self.place}: shards of '{self.family}' are {indices}: some are missing")
        found = [_open(self.place, shard_name(self.family, index)) for index in indices]
        for index, (_, table) in enumerate(found):
            if not table.schema.equals(found[0][1].schema):
                first = shard_name(self.family, 0)
                raise damaged(self.place, shard_name(self.family, index), f"has other columns than {first}")
        return found

    @functools.cached_property
    def _compared(self) -> set[int]:
        """The shards whose bytes are those that were written."""
        return set()

    @functools.cached_property
    def starts(self) -> NDArray[Any]:
        """The first row of every shard, and the row count at the end."""
        return np.concatenate([[0], np.cumsum([t.num_rows for t in self.tables])]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, column: str, rows: NDArray[Any] | slice | None = None) -> NDArray[Any]:
        """A column's values at the given rows (all by default): [n] or [n, D]. A copy only if rows are given."""
        if rows is None or isinstance(rows, slice):
            whole = [_values(self._chunk(s, column)) for s in range(len(self.tables))]
            return (whole[0] if len(whole) == 1 else np.concatenate(whole))[rows or slice(None)]
        shard, inner = self._locate(rows)
        first = _values(self._chunk(0, column))
        out = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for s in np.unique(shard):
            where = shard == s
            out[where] = _values(self._chunk(int(s), column))[inner[where]]
        return out

    def read_vectors(self, column: str, width: int, rows: NDArray[Any] | slice | None = None) -> NDArray[Any]:
        """A column of vectors [n, width], as `read`. Raises ArtifactError where they are none, or of another width."""
        found = self.read(column, rows)
        if found.ndim != 2 or found.shape[1] != width:
            of = f"vectors of {found.shape[1]}" if found.ndim == 2 else "no vectors"
            raise damaged(self.place, shard_name(self.family, 0), f"column '{column}' holds {of}, must be {width} wide")
        return found

    def read_ragged(self, column: str, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """A ragged column at the given rows: values [sum n_i, D] in the rows' order, and lengths [n]."""
        shard, inner = self._locate(rows)
        pieces, lengths = [], np.empty(len(rows), np.int64)
        for k, (s, r) in enumerate(zip(shard.tolist(), inner.tolist(), strict=True)):
            offsets, values = self._ragged(s, column)
            pieces.append(values[offsets[r] : offsets[r + 1]])
            lengths[k] = len(pieces[-1])
        return np.concatenate(pieces), lengths

    def _locate(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise ArtifactError(
                f"{self.place}: rows {rows.min()}..{rows.max()} of '{self.family}', which has {len(self)}"
            )
        shard = np.searchsorted(self.starts, rows, side="right") - 1
        return shard, rows - self.starts[shard]

    def _chunk(self, shard: int, column: str) -> pa.Array:
        source, table = self._opened[shard]
        name = shard_name(self.family, shard)
        if shard not in self._compared:  # on the first use of its rows: a worker that needs none reads none
            check(self.place, name, source)
            self._compared.add(shard)
        if column not in table.column_names:
            raise damaged(self.place, name, f"has no column '{column}'")
        chunks = table[column].chunks
        found = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [pa.array([], table[column].type)])
        if found.null_count or not _numeric(found.type):
            lacks = f"{found.type}, {found.null_count} values missing"
            raise damaged(self.place, name, f"column '{column}' is of {lacks}; must be numbers or vectors, all there")
        return found

    def _ragged(self, shard: int, column: str) -> tuple[NDArray[Any], NDArray[Any]]:
        if (shard, column) not in self._views:
            array = self._chunk(shard, column)
            with whole(self.place, shard_name(self.family, shard), "a whole shard of ragged matrices"):
                array.validate(full=True)
                if not pa.types.is_large_list(array.type) or not pa.types.is_fixed_size_list(array.type.value_type):
                    raise TypeError(f"column '{column}' is of {array.type}")
            self._views[shard, column] = array.offsets.to_numpy(zero_copy_only=True), _values(array.values)
        return self._views[shard, column]

    @functools.cached_property
    def _views(self) -> dict[tuple[int, str], tuple[NDArray[Any], NDArray[Any]]]:
        return {}

    def __reduce__(self) -> tuple[type["Shards"], tuple[Place, str]]:
        return (Shards, (self.place, self.family))


def _values(array: pa.Array) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=True)
        return flat.reshape(-1, array.type.list_size)
    return array.to_numpy(zero_copy_only=False)


def _numeric(kind: pa.DataType) -> bool:
    while pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _open(place: Place, name: str) -> tuple[Any, pa.Table]:
    source = place.mapped(name)
    with whole(place, name, "a whole shard"):
        table = ipc.open_file(source).read_all()
        table.validate()
        return source, table
