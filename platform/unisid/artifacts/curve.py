"""What a stage reported while it ran: `curve.parquet` (step, name, value) beside the artifact's other files."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.reading import whole
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_file

FILE = "curve.parquet"
SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
Point = tuple[int, str, float]
"""(step, name, value)."""


def write_curve(place: Place, curve: Sequence[Point]) -> None:
    """Keep what was reported; no file where nothing was."""
    if curve:
        steps, names, values = zip(*curve, strict=True)
        table = pa.table({"step": pa.array(steps, pa.int64()), "name": list(names), "value": pa.array(values)})
        with place.writing(FILE) as stream:
            pq.write_table(table, stream)


def read_curve(place: Place) -> list[Point]:
    """Read the points of a curve, in the order reported; empty where there is no curve."""
    if not place.exists(FILE):
        return []
    table = read_file(place, FILE, ("step", "name", "value"))
    with whole(place, FILE, "a curve"):
        table = table.cast(SCHEMA)
    return list(zip(*(table[name].to_pylist() for name in SCHEMA.names), strict=True))
