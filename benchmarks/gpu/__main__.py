"""Check an accelerator against the CPU, time what is trained and served on it, and write a dated JSON and a table.

python -m benchmarks.gpu [--tiny] [--out FOLDER] [--seconds 480] [--only uqf graph]

A section that fails is recorded with its error, and the others go on; one begins only if it is expected to end within
`--seconds`, and those that are not begun are named. Beside each figure with a bar stands whether one H100's is met.
"""

import argparse
import datetime
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.bars import flat, judged
from benchmarks.gpu.equal import check_all
from benchmarks.gpu.hardware import Device
from benchmarks.gpu.shapes import FULL, TINY
from benchmarks.gpu.times import TIMES

RESULTS = Path(__file__).parents[1] / "results"
CHECKS = "checks"
EXPECTED = {
    CHECKS: 30.0,
    "uqf": 90.0,
    "language_beam": 30.0,
    "language_training": 70.0,
    "embedding": 40.0,
    "hierarchical": 50.0,
    "graph": 70.0,
    "rqvae": 20.0,
    "trie": 20.0,
}
"""Seconds of each section at full size, data and compilation included: guesses, until a GPU has been measured."""
TINY_SECONDS = 5.0
"""Of each at tiny sizes."""


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where a check fails or a section breaks; a bar that is missed stands in the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to see that all of it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder that is written to")
    parser.add_argument("--seconds", type=float, default=480, help="within which each section must be expected to end")
    parser.add_argument("--only", nargs="+", choices=[CHECKS, *TIMES], help="these sections alone")
    args = parser.parse_args(arguments)
    device, size = Device.found(), TINY if args.tiny else FULL
    sections: dict[str, Callable[[], dict[str, Any]]] = {CHECKS: lambda: check_all(device.torch)}
    sections |= {name: lambda run=run: run(device, size) for name, run in TIMES.items()}
    begun, found, skipped = time.monotonic(), dict[str, Any](), []
    for name in args.only or sections:
        if time.monotonic() - begun + (TINY_SECONDS if args.tiny else EXPECTED[name]) > args.seconds:
            skipped.append(name)
            continue
        found[name] = _run(name, sections[name])
        gc.collect()
        if device.torch.type == "cuda":
            torch.cuda.empty_cache()
    bars = {} if args.tiny else judged(found)
    whole = {"machine": device.facts(), "tiny": args.tiny, "results": found, "bars": bars, "skipped": skipped}
    _write(args.out, whole)
    print(table(whole))
    failed = [name for name, each in found.items() if "error" in each]
    failed += [name for name, each in found.get(CHECKS, {}).items() if isinstance(each, dict) and not each["equal"]]
    return 1 if failed else 0


def _run(name: str, section: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    print(f"{name} ...", flush=True)
    begun = time.monotonic()
    try:
        found = section()
    except Exception as error:  # whatever it is, the other sections are worth having
        found = {"error": f"{type(error).__name__}: {error}"[:500]}
    seconds = time.monotonic() - begun
    print(f"  {seconds:.0f} s {found.get('error', '')}", flush=True)
    return found | ({} if name == CHECKS else {"section_seconds": round(seconds, 1)})


def table(whole: dict[str, Any]) -> str:
    """All figures in Markdown, with the bar of one H100 where there is one."""
    facts, bars = whole["machine"], whole["bars"]
    lines = [f"{facts['device']}, torch {facts['torch']}{', tiny sizes' if whole['tiny'] else ''}", ""]
    for name, figures in whole["results"].items():
        rows = [(key, value, bars.get(f"{name}.{key}")) for key, value in flat(figures).items()]
        lines += [f"| {name} | | bar of one H100 |", "| --- | --- | --- |"]
        lines += [f"| {key} | {_shown(value)} | {_verdict(bar)} |" for key, value, bar in rows]
        lines.append("")
    if whole["skipped"]:
        lines.append(f"No time was left for {', '.join(whole['skipped'])}.")
    return "\n".join(lines)


def _verdict(bar: dict[str, Any] | None) -> str:
    return "" if bar is None else f"{bar['bar']}: {'pass' if bar['met'] else 'FAIL'}"


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _write(folder: Path, whole: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kind = "tiny" if whole["tiny"] else "gpu"
    stem = f"{datetime.datetime.now(datetime.UTC).date().isoformat()}-{kind}"
    (folder / f"{stem}.json").write_text(json.dumps(whole, indent=2) + "\n")
    (folder / f"{stem}.md").write_text(table(whole) + "\n")


if __name__ == "__main__":
    sys.exit(main())
