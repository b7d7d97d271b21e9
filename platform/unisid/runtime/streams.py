"""Which rows of a stream each worker reads, and the reading. (No torch here: processes that only read start sooner.)"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unisid.artifacts.tables import open_table, read_group
from unisid.compute import Stream
from unisid.errors import ArtifactError


@dataclass(frozen=True)
class Piece:
    """One worker's rows of one row group: `first`, `first + step`, ... up to and without `stop`."""

    file: str
    group: int
    first: int
    stop: int
    step: int


def pieces(stream: Stream, rank: int, size: int) -> list[Piece]:
    """Which rows worker `rank` of `size` reads, in stored order: every size-th row, beginning with row `rank`.

    So the rows that all workers hold after reading n each are the first size * n of the table: a global batch is the
    same whatever the number of workers. A remainder of fewer than `size` rows is left out, so that all read equally
    many and no collective waits for a worker that has run dry.
    """
    groups = [
        (file, group, metadata.row_group(group).num_rows)
        for file in stream_files(stream)
        for metadata in [open_table(stream.place, file).metadata]
        for group in range(metadata.num_row_groups)
    ]
    usable = sum(rows for _, _, rows in groups) // size * size
    found, start = [], 0
    for file, group, rows in groups:
        first, stop = (rank - start) % size, min(rows, usable - start)
        if first < stop:
            found.append(Piece(file, group, first, stop, size))
        start += rows
    return found


def read_piece(stream: Stream, piece: Piece) -> pa.Table:
    """The rows of a piece; only the stream's columns are decoded."""
    file = open_table(stream.place, piece.file)
    table = read_group(stream.place, piece.file, file, piece.group, stream.columns)
    if piece.step == 1:
        return table.slice(piece.first, piece.stop - piece.first)
    return table.take(pa.array(np.arange(piece.first, piece.stop, piece.step)))


def stream_files(stream: Stream) -> list[str]:
    """The names of a stream's Parquet files, in order."""
    names = [n for n in stream.place.sizes() if n.startswith(stream.prefix) and n.endswith(".parquet")]
    if not names:
        raise ArtifactError(f"{stream.place}: no files named {stream.prefix}*.parquet to train on")
    return names
