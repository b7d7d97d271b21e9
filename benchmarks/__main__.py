"""Run the benchmarks, each in a process of its own, and write a dated JSON.

python -m benchmarks [NAME ...] [--compare]

With --compare nothing is written: what is measured is held against the last dated results that have it, by its ratios
beside peers, which another machine changes less than seconds; 1 where one has fallen by more than a fifth, or is gone.
A peer that is not installed is named, and its ratios are skipped.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
RATIOS = ("ratio", "times_faster")
"""What a figure beside a peer is called."""
LEAST = 0.8
"""A ratio below so much of its last one has fallen."""
MISSING = "not_installed"
"""Where a benchmark's figures list the peers without which some of its ratios are absent."""
RUNNER = "import json, sys, importlib; json.dump(importlib.import_module(sys.argv[1]).main(), open(sys.argv[2], 'w'))"


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processor": platform.processor() or platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def run(name: str) -> dict[str, Any]:
    """One benchmark's figures, and how long it took."""
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = [sys.executable, "-c", RUNNER, f"benchmarks.{name}", answer.name]
        code = subprocess.run(command, check=False, cwd=HERE.parent).returncode
        text = Path(answer.name).read_text()
    figures = json.loads(text) if code == 0 else {"failed": code}
    return {"seconds": round(time.monotonic() - begun, 1), **figures}


def ratios(figures: Any, before: str = "") -> dict[str, float]:
    """All ratios beside a peer in a benchmark's figures, by their dotted names; more is better."""
    found: dict[str, float] = {}
    for key, value in figures.items() if isinstance(figures, dict) else ():
        name = f"{before}{key}"
        if isinstance(value, dict):
            found |= ratios(value, f"{name}.")
        elif key in RATIOS and isinstance(value, int | float):
            found[name] = float(value)
    return found


def last_of(name: str, folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The date and the figures of the newest dated results in which a benchmark succeeded."""
    for file in sorted(folder.glob("????-??-??.json"), reverse=True):
        figures = json.loads(file.read_text())["results"].get(name)
        if figures is not None and "failed" not in figures:
            return file.stem, figures
    return None


def compared(name: str, figures: dict[str, Any], folder: Path) -> tuple[list[str], bool]:
    """A line for each ratio beside its last dated value, and whether one has fallen too far."""
    if (last := last_of(name, folder)) is None:
        return [f"{name}: no dated results"], False
    lines, now, fallen = [], ratios(figures), False
    missing = ", ".join(figures.get(MISSING, ()))
    for key, was in ratios(last[1]).items():
        if missing and key not in now:
            lines.append(f"{name}.{key}: {was:g} on {last[0]}, skipped now: {missing} is not installed")
            continue
        here = now.get(key, float("nan"))
        is_less = not here >= LEAST * was
        fallen |= is_less
        lines.append(f"{name}.{key}: {was:g} on {last[0]}, {here:g} now{'  <-- has fallen' if is_less else ''}")
    return lines or [f"{name}: has no ratios"], fallen


def compare(results: dict[str, Any], folder: Path) -> int:
    """Print all comparisons; 1 where a ratio has fallen too far, or a benchmark failed."""
    fallen = False
    for name, figures in results.items():
        lines, less = compared(name, figures, folder)
        print("\n".join(lines))
        fallen |= less or "failed" in figures
    return int(fallen)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], help="which ones; all by default")
    parser.add_argument("--compare", action="store_true", help="hold ratios against the last dated results")
    args = parser.parse_args()
    names = args.name or NAMES
    results = {}
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        results[name] = run(name)
    folder = HERE / "results"
    if args.compare:
        return compare(results, folder)
    folder.mkdir(exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    file = folder / f"{today}.json"
    before = json.loads(file.read_text())["results"] if file.exists() else {}
    file.write_text(json.dumps({"machine": machine(), "date": today, "results": before | results}, indent=2) + "\n")
    print(f"written: {file.relative_to(HERE.parent)}")
    return int(any("failed" in figures for figures in results.values()))


if __name__ == "__main__":
    sys.exit(main())
