"""What the plan's model says of the largest measured size, from the smaller ones alone, beside what was measured.

python -m benchmarks.scale.predict [RESULTS.json]
"""

import json
import sys
from pathlib import Path
from typing import Any

from unisid.capacity import Shop, estimate
from unisid.capacity.calibrate import UNITS, costs_of

RESULTS = Path(__file__).parents[1] / "results"
MEGABYTE = 2**20
Errors = dict[str, dict[str, float]]


def errors(figures: dict[str, Any]) -> Errors:
    """Stage -> how far the prediction of seconds, memory and disk is off, over what was measured.

    The model is fitted to all sizes but the largest, and asked for the largest.
    """
    *smaller, largest = sorted(figures["catalog"], key=int)
    known = {noun: {size: figures[noun][size] for size in smaller} for noun in UNITS}
    shop, found = _shop(figures, largest), {}
    for each in estimate(shop, costs_of(known, "committed"), 1, 1):
        real = figures[each.noun][largest]
        found[each.noun] = {
            "seconds": each.seconds / real["cpu_seconds"] - 1,
            "memory": each.memory / MEGABYTE / real["peak_mib"] - 1,
            "disk": each.disk / MEGABYTE / real["disk_mib"] - 1,
        }
    return found


def _shop(figures: dict[str, Any], size: str) -> Shop:
    counts = figures["catalog"][size]["counts"]
    return Shop(
        items=counts["items"],
        interactions_per_item=counts["interactions"] / counts["items"],
        items_per_user=counts["items"] / counts["test"],
        tokens=figures["embeddings"][size]["counts"]["tokens"] / counts["items"],
    )


def table(found: Errors) -> str:
    """In Markdown."""
    lines = ["| stage | time | memory | disk |", "| --- | --- | --- | --- |"]
    for noun, each in found.items():
        lines.append(f"| {noun} | {' | '.join(map(_percent, each.values()))} |")
    return "\n".join(lines)


def _percent(share: float) -> str:
    whole = round(100 * share)
    return f"{whole:+d}%" if whole else "0%"


def last() -> dict[str, Any]:
    """The figures that were measured and committed last."""
    figures: dict[str, Any] = json.loads(max(RESULTS.glob("*-scale.json")).read_text())["figures"]
    return figures


if __name__ == "__main__":
    print(table(errors(json.loads(Path(sys.argv[1]).read_text())["figures"] if sys.argv[1:] else last())))
