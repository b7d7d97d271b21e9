"""One stage, or one part, measured in a process of its own.

python -m benchmarks.scale.measure STAGE ITEMS STORE ANSWER
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.scale.parts import PARTS
from benchmarks.scale.recipe import recipe
from unisid.artifacts.store import Place, Store
from unisid.capacity.measure import peak, stage


def part(name: str, items: int) -> dict[str, Any]:
    """A part's own figures, with the process's memory."""
    before = peak()
    found = PARTS[name](items)
    return found | {"peak_mib": round(peak()), "before_mib": round(before)}


def main(arguments: list[str]) -> None:
    """Measure what is named, and write the figures as JSON."""
    name, items, store, answer = arguments
    torch.set_num_threads(1)
    place = Store(Place.of(store))
    found = part(name, int(items)) if name in PARTS else stage(name, recipe(int(items)), place)
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
