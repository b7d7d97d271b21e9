"""Run the benchmarks, each in a process of its own, and write a dated JSON.

python -m benchmarks [NAME ...]
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], help="which ones; all by default")
    names = parser.parse_args().name or NAMES
    results = {}
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        results[name] = run(name)
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    file = folder / f"{today}.json"
    before = json.loads(file.read_text())["results"] if file.exists() else {}
    file.write_text(json.dumps({"machine": machine(), "date": today, "results": before | results}, indent=2) + "\n")
    print(f"written: {file.relative_to(HERE.parent)}")
    return int(any("failed" in figures for figures in results.values()))


if __name__ == "__main__":
    sys.exit(main())
