"""What a checksum costs: shards and tables written with and without one, and read for the first time and again.

python -m benchmarks.checksums

Writing without is `Place.writing(name, summed=False)`, reading without is UNISID_VERIFY=never. The files lie in the
operating system's cache, so that the checksum is not hidden behind a disk: the shares are upper bounds.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa

from unisid.artifacts import reading
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards, to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table, write_table

ROWS, WIDTH, TIMES = 1 << 18, 256, 7
SAMPLES = 1 << 21


def main() -> dict[str, float]:
    """Megabytes a second and seconds, of both kinds of file."""
    random = np.random.default_rng(0)
    vectors = pa.table({"vector": to_arrow(random.normal(size=(ROWS, WIDTH)).astype(np.float32))})
    samples = pa.table({"user": random.integers(0, 10**6, SAMPLES), "title": [f"item {n}" for n in range(SAMPLES)]})
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, write, read in (
            ("shard", lambda p: write_shard(p, "v", 0, vectors), lambda p: Shards(p, "v").read("vector").sum()),
            ("table", lambda p: write_table(p, "t", 0, samples), lambda p: read_table(p, "t")),
        ):
            place = Place.of(Path(folder) / kind)
            found |= {f"{kind}_{name}": value for name, value in _timed(place, write, read).items()}
    return found


def _timed(place: Place, write: Callable[[Place], object], read: Callable[[Place], object]) -> dict[str, float]:
    """Seconds of each way, in turn; medians."""
    plain = Place.writing
    seconds: dict[str, list[float]] = {name: [] for name in ("write", "write_plain", "read_first", "read_plain")}
    for _ in range(TIMES):
        place.clear()
        with mock.patch.object(Place, "writing", lambda p, name, summed=True: plain(p, name, summed=False)):
            seconds["write_plain"].append(_seconds(lambda: write(place)))
        place.clear()
        seconds["write"].append(_seconds(lambda: write(place)))
        write_record(place, Record(address="fused/b/1", config={}, inputs={}, files=place.sizes()))
        with mock.patch.dict(os.environ, {reading.SETTING: "never"}):
            seconds["read_plain"].append(_seconds(lambda: read(place)))
        seconds["read_first"].append(_seconds(lambda: read(place)))
    megabytes = sum(size for name, size in place.sizes().items() if name != "record.json") / 1e6
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    cost = {"write": medians["write"] - medians["write_plain"], "read": medians["read_first"] - medians["read_plain"]}
    return {"megabytes": megabytes, **medians} | {f"{n}_mb_a_second": megabytes / max(s, 1e-9) for n, s in cost.items()}


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps({name: round(value, 4) for name, value in main().items()}, indent=2))
