"""What a stage reported while it ran: `curve.parquet` (step, name, value) beside the artifact's other files.

The file's own metadata say what decided the best epoch, and which direction of it is better.
"""

import dataclasses
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.reading import whole
from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, read_file
from unisid.legend import Figure

FILE = "curve.parquet"
SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
SCORE = b"score"
"""Under which the metadata have it."""
Point = tuple[int, str, float]
"""(step, name, value)."""


def write_curve(place: Place, curve: Sequence[Point], score: Figure | None = None) -> None:
    """Keep what was reported, and what its `valid_score` is; no file where nothing was."""
    if curve:
        steps, names, values = zip(*curve, strict=True)
        table = pa.table({"step": pa.array(steps, pa.int64()), "name": list(names), "value": pa.array(values)})
        if score is not None:
            table = table.replace_schema_metadata({SCORE: json.dumps(dataclasses.asdict(score))})
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


def read_score(place: Place) -> Figure | None:
    """The figure that is a curve's `valid_score`; None where the curve does not say, as older ones do not."""
    if not place.exists(FILE):
        return None
    found = (open_table(place, FILE).schema_arrow.metadata or {}).get(SCORE)
    with whole(place, FILE, "a curve"):
        return None if found is None else Figure(**json.loads(found))
