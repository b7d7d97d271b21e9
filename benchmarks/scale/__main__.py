"""Measure every stage at some numbers of items, and write the figures, their slopes and a plot.

python -m benchmarks.scale [--items 1e4 1e5 3e5 1e6] [--part-items 1e7] [--only graph fused] [--store FOLDER]
    [--out FOLDER]

Each figure is of one process, one thread. What was measured already is kept, so that a run that was ended goes on; the
artifacts stay in the store, one folder a size. `--again` measures what is named by `--only` once more.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.__main__ import machine
from benchmarks.scale.parts import PARTS
from benchmarks.scale.plot import slopes, write_plot
from benchmarks.scale.recipe import NOUNS
from unisid.artifacts.store import Address, Place, Store

RESULTS = Path(__file__).parents[1] / "results"
HERE = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--items", nargs="*", type=float, default=[1e4, 1e5, 3e5, 1e6], help="sizes of whole runs")
    parser.add_argument("--part-items", nargs="*", type=float, default=None, help="sizes of the parts; 10 x as many")
    parser.add_argument("--only", nargs="+", choices=[*NOUNS, *PARTS], help="these alone")
    parser.add_argument("--store", type=Path, default=Path("build/scale"), help="where artifacts are made")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder that is written to")
    parser.add_argument("--again", action="store_true", help="measure what is there already once more")
    args = parser.parse_args(arguments)
    sizes = [round(each) for each in args.items]
    larger = [round(each) for each in args.part_items] if args.part_items is not None else [*sizes, 10 * max(sizes)]
    wanted = args.only or [*NOUNS, *PARTS]
    file = args.out / f"{datetime.datetime.now(datetime.UTC).date().isoformat()}-scale.json"
    whole = json.loads(file.read_text()) if file.exists() else {"machine": machine(), "figures": {}}
    failed = False
    for items in sorted({*sizes, *larger}):
        for name in wanted:
            if items not in (larger if name in PARTS else sizes):
                continue
            figures = whole["figures"].setdefault(name, {})
            if str(items) in figures and not args.again and "failed" not in figures[str(items)]:
                continue
            print(f"{items:,} items: {name}", flush=True)
            figures[str(items)] = measured(name, items, args.store / str(items), again=args.again)
            print(f"  {figures[str(items)]}", flush=True)
            failed |= "failed" in figures[str(items)]
            whole["slopes"] = slopes(whole["figures"])
            args.out.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(whole, indent=2) + "\n")
    write_plot(whole["figures"], file.with_suffix(".png"))
    print(json.dumps(whole["slopes"], indent=2))
    return int(failed)


def measured(name: str, items: int, store: Path, again: bool = False) -> dict[str, Any]:
    """One figure, in a process of its own."""
    if again and name in NOUNS:
        Store(Place.of(store)).place(Address(name, "scale", "1")).clear()
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = [sys.executable, "-m", "benchmarks.scale.measure", name, str(items), str(store), answer.name]
        code = subprocess.run(command, check=False, cwd=HERE).returncode
        text = Path(answer.name).read_text()
    return json.loads(text) if code == 0 else {"failed": code}


if __name__ == "__main__":
    sys.exit(main())
