"""What the plan's model says of the largest measured size from smaller ones, as docs/scale.md has it."""

import json
from pathlib import Path

import pytest

from benchmarks.scale import predict
from unisid.capacity import Shop, estimate
from unisid.capacity.calibrate import UNITS, costs_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()
RESULTS = max((ROOT / "benchmarks" / "results").glob("*-scale.json"))


def counts(items):
    return {"items": items, "interactions": 3 * items, "test": items // 20, "tokens": 13 * items}


def test_the_page_has_how_far_predictions_are_off():
    found = predict.errors(predict.last())
    assert predict.table(found) in PAGE
    for noun, each in found.items():
        for what, error in each.items():
            assert abs(error) <= 0.2, (noun, what)


def test_the_page_has_every_slope():
    slopes = json.loads(RESULTS.read_text())["slopes"]
    for noun in UNITS:
        row = [f"{slopes[noun][what]:.2f}" for what in ("seconds", "peak_mib", "disk_mib", "requests")]
        assert f"| {noun} | {' | '.join(row)} |" in PAGE


def test_the_largest_size_is_predicted_from_the_others_alone():
    """What is in proportion is predicted; what the largest size takes besides is the error."""

    def of(items, more=1.0):
        return {
            "cpu_seconds": more * (2 + items / 1000),
            "peak_mib": 300 + items / 100,
            "disk_mib": items / 50,
            "counts": counts(items),
        }

    sizes = {str(n): of(n, 1.25 if n == 90_000 else 1.0) for n in (9_000, 90_000, 30_000)}
    found = predict.errors(dict.fromkeys(UNITS, sizes))
    assert all(each["seconds"] == pytest.approx(1 / 1.25 - 1, abs=1e-3) for each in found.values())
    assert all(each["memory"] == pytest.approx(0, abs=1e-3) for each in found.values())
    assert predict.table(found).splitlines()[2] == "| catalog | -20% | 0% | 0% |"


def test_disk_that_does_not_grow_is_planned():
    sizes = {n: {"cpu_seconds": 1, "peak_mib": 300, "disk_mib": 0.5, "counts": counts(n)} for n in (10, 20)}
    [cost] = costs_of({"catalog": sizes}, "drawn")
    [found] = estimate(Shop(items=1e6), [cost], 1, 1)
    assert found.disk == pytest.approx(0.5 * 2**20, rel=1e-3)
