"""Interactions above memory: numbers for the ids of users and items, then order by user and time, in a bounded memory.

The core of the catalog stage, two joins and a sort, by DuckDB with a limit and by Ray Data with an object store of the
same size, from the same Parquet files to the same rows: text ids whose numbers lie in two further tables. Each runs in
a process of its own; processor and memory are of it and its children, memory at most, without what files and processes
share but with an object store's pages; disk is the most that lay in the folder for what is moved out. Ray Data is
installed with the package, DuckDB with its extra `large`. The whole stage of the same tables is timed in memory and on
disk, whose files must have the same bytes; and `update`, a day of a fiftieth as many rows, taken in by the catalog that
a stage before it made.

python -m benchmarks.scale.above_memory 10000000 stage_in_memory stage_on_disk update --gib .5    # rows, which ways
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROWS, PER_FILE = 50_000_000, 1_000_000
PER_USER, PER_ITEM = 20, 100
"""Interactions a user and an item, in the mean."""
GIB = 1.0
"""Memory that is allowed, of DuckDB and of Ray's object store."""
SECONDS = 3600
"""After which a run is given up."""
SHARED = "/dev/shm"
"""Where Ray's object store has its pages."""
WAYS = ("duckdb", "ray", "stage_in_memory", "stage_on_disk", "update")
DAY = 50
"""As many rows as a catalog has for one of the day that it takes in."""
WITH_DUCKDB = ("duckdb", "stage_on_disk")
Figures = dict[str, Any]


def main(rows: int = ROWS, ways: tuple[str, ...] = WAYS, gib: float = GIB) -> Figures:
    """Seconds, peak memory and disk of each way."""
    with tempfile.TemporaryDirectory(prefix="above-memory-") as folder:
        draw(Path(folder), rows)
        found = {way: _apart(way, folder, rows, gib) for way in ways if way not in WITH_DUCKDB or installed()}
        stages = [Path(folder) / f"{way}-out" for way in found if way.startswith("stage")]
        assert all(_bytes(stages[0]) == _bytes(stage) for stage in stages), "the stage's files differ"
    return {"rows": rows, "limit_gib": gib, **found, "not_installed": [] if installed() else ["duckdb"]}


def installed() -> bool:
    """Whether DuckDB is."""
    return importlib.util.find_spec("duckdb") is not None


def draw(folder: Path, rows: int) -> None:
    """Write interactions in random order, and the numbers of all ids."""
    users, items = max(1, rows // PER_USER), max(1, rows // PER_ITEM)
    for name, count in (("users", users), ("items", items)):
        numbers = np.random.default_rng(1).permutation(count).astype(np.int32)
        ids = _ids(np.arange(count))
        columns = {f"{name[:-1]}_id": ids, name[:-1]: numbers} | ({"title": ids} if name == "items" else {})
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "rows").mkdir()
    for start in range(0, rows, PER_FILE):
        random, count = np.random.default_rng(start), min(PER_FILE, rows - start)
        columns = {
            "user_id": _ids(random.integers(0, users, count)),
            "item_id": _ids(random.integers(0, items, count)),
            "time": random.integers(1_400_000_000, 1_500_000_000, count),
        }
        pq.write_table(pa.table(columns), folder / "rows" / f"{start:012d}.parquet")


def _ids(numbers: np.ndarray) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 12, "0")


def _apart(way: str, folder: str, rows: int, gib: float) -> Figures:
    """What one way takes in a process of its own; or the last line of what it said before it failed."""
    out, spill = Path(folder) / f"{way}-out", Path(folder) / f"{way}-spill"
    out.mkdir()
    spill.mkdir()
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale.above_memory",
        "--one",
        way,
        folder,
        str(out),
        str(spill),
        str(gib),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with _watched(process.pid, [spill, out / ".work"]) as most:
        try:
            _, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return {"failed": f"not done after {SECONDS} s"} | most
    figures = {"seconds": round(time.perf_counter() - begun, 1)} | most
    if process.returncode:
        return {"failed": said.strip().splitlines()[-1][:300]} | figures
    assert way.startswith(("stage", "update")) or _in_order(out, rows), f"{way}: rows are not in order"
    return figures


def _bytes(out: Path) -> dict[str, str]:
    """The checksums of a stage's files, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.parquet"))}


@contextlib.contextmanager
def _watched(pid: int, folders: list[Path]) -> Iterator[Figures]:
    """The processor's seconds and the peak memory of a process and its children, and the most bytes in folders, filled
    while the block runs."""
    import psutil

    most: Figures = {"processor_seconds": 0.0, "peak_gib": 0.0, "spilled_gib": 0.0}
    processor: dict[int, float] = {}
    over, before = threading.Event(), shutil.disk_usage(SHARED).used

    def look() -> None:
        total = 0
        with contextlib.suppress(psutil.Error):
            whole = psutil.Process(pid)
            for each in (whole, *whole.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    used = each.memory_info()
                    total += used.rss - used.shared
                    processor[each.pid] = sum(each.cpu_times()[:2])
        shared = shutil.disk_usage(SHARED).used - before
        spilled = 0
        for file in (file for folder in folders for file in folder.rglob("*")):
            with contextlib.suppress(OSError):
                spilled += file.stat().st_blocks * 512 if file.is_file() else 0
        most["processor_seconds"] = round(sum(processor.values()), 1)
        most["peak_gib"] = max(most["peak_gib"], round((total + shared) / 2**30, 2))
        most["spilled_gib"] = max(most["spilled_gib"], round(spilled / 2**30, 2))

    def watch() -> None:
        while not over.wait(0.5):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _in_order(out: Path, rows: int) -> bool:
    """Whether all rows are there, by user and time."""
    found, last = 0, (-1, -1)
    for path in sorted(out.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=["user", "time"]):
            user, moment = (batch.column(n).to_numpy().astype(np.int64) for n in range(2))
            key = user * (1 << 32) + moment
            if (np.diff(key) < 0).any() or (int(user[0]), int(moment[0])) < last:
                return False
            found, last = found + len(user), (int(user[-1]), int(moment[-1]))
    return found == rows


def duckdb_way(folder: Path, out: Path, spill: Path, gib: float) -> None:
    """Two joins and a sort in one query."""
    import duckdb

    settings = {"memory_limit": f"{gib} GiB", "threads": 1, "temp_directory": str(spill)}
    with duckdb.connect(config=settings) as database:
        database.execute(
            f"copy (select u.user, i.item, r.time from '{folder}/rows/*.parquet' r join '{folder}/users.parquet' u "
            f"using (user_id) join '{folder}/items.parquet' i using (item_id) order by u.user, r.time) "
            f"to '{out}/rows.parquet' (format parquet)"
        )


def ray_way(folder: Path, out: Path, spill: Path, gib: float) -> None:
    """The same by Ray Data: hash joins in partitions of 2.5 million rows, and its sort."""
    import ray
    import ray.data

    ray.init(
        num_cpus=4,
        object_store_memory=int(gib * 2**30),
        include_dashboard=False,
        log_to_driver=False,
        object_spilling_directory=str(spill),
    )
    rows = ray.data.read_parquet(f"{folder}/rows")
    parts = max(4, pq.read_metadata(folder / "users.parquet").num_rows * PER_USER // 2_500_000)
    users, items = (ray.data.read_parquet(f"{folder}/{name}.parquet") for name in ("users", "items"))
    joined = rows.join(users, "inner", parts, on=("user_id",)).join(items, "inner", parts, on=("item_id",))
    ordered = joined.select_columns(["user", "item", "time"]).sort(["user", "time"])
    for index, part in enumerate(ordered.iter_batches(batch_size=PER_FILE, batch_format="pyarrow")):
        pq.write_table(part, out / f"{index:06d}.parquet")


def stage_way(folder: Path, out: Path, spill: Path, gib: float) -> None:
    """The catalog stage, temporal, with a 5-core; 0 GiB: in memory."""
    from unisid.datasets import tables
    from unisid.stages import catalog

    dataset = tables.Config(items=f"{folder}/items.parquet", interactions=f"{folder}/rows", timestamp="time")
    _make(catalog.Config(dataset=dataset, title_rules=False, memory=gib), out, "1")


def update_way(folder: Path, out: Path, spill: Path, gib: float) -> None:
    """A day of known items and of known and new users, appended to the catalog of a stage."""
    from unisid.artifacts.store import Place
    from unisid.datasets import tables
    from unisid.stages import catalog
    from unisid.stages.extension import Base

    [made, *_] = [each for each in sorted(folder.glob("stage*-out")) if (each / "record.json").exists()]
    base, random = Base.of(Place.of(made), "catalog"), np.random.default_rng(7)
    count = pq.read_metadata(made / "interactions-00000.parquet").num_rows // DAY
    tables_of = {name: pq.read_table(made / f"{name}s-00000.parquet")[f"{name}_id"] for name in ("user", "item")}
    user, item = (ids.take(random.integers(0, len(ids), count)) for ids in tables_of.values())
    user = pc.if_else(pa.array(random.random(count) < 0.1), pc.binary_join_element_wise(user, "new", "-"), user)
    times = random.integers(1_500_000_000, 1_500_086_400, count)
    pq.write_table(pa.table({"user_id": user, "item_id": item, "time": times}), spill / "day.parquet")
    dataset = tables.Config(items=tables.NONE, interactions=str(spill / "day.parquet"), timestamp="time")
    config = catalog.Config(dataset=dataset, title_rules=False, memory=gib, append=True, base=base)
    _make(config, out, "2")


def _make(config: Any, out: Path, version: str) -> None:
    """Make a catalog, with its record."""
    from unisid.artifacts.record import Record, write_record
    from unisid.artifacts.store import Place
    from unisid.compute import Job
    from unisid.config import to_record
    from unisid.runtime.local import LocalCompute
    from unisid.stages import catalog
    from unisid.stages.catalog import extend

    place, identity = Place.of(out), to_record(config, identity=True)
    job = Job(config=config, inputs={}, out=place, name="t", compute=LocalCompute(), report=lambda _: None)
    counts = (catalog if config.base is None else extend).make(job)
    write_record(place, Record(address=f"catalog/t/{version}", config=identity, inputs={}, counts=counts))


RUN: dict[str, Callable[[Path, Path, Path, float], None]] = {
    "duckdb": duckdb_way,
    "ray": ray_way,
    "stage_in_memory": lambda folder, out, spill, gib: stage_way(folder, out, spill, 0.0),
    "stage_on_disk": stage_way,
    "update": update_way,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        way, *paths = sys.argv[2:6]
        folder, out, spill = map(Path, paths)
        RUN[way](folder, out, spill, float(sys.argv[6]))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("rows", nargs="?", type=int, default=ROWS)
        parser.add_argument("ways", nargs="*", default=WAYS, metavar="way", help=", ".join(WAYS))
        parser.add_argument("--gib", type=float, default=GIB, help="memory that is allowed")
        chosen = parser.parse_args()
        print(json.dumps(main(chosen.rows, tuple(chosen.ways), chosen.gib), indent=2))
