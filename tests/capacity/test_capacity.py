"""The cost model: within a fifth of what was measured, linear, and it refuses what will not fit."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.end_to_end.recipes import tiny
from unisid.artifacts.store import Address, Place, Store
from unisid.capacity import SEARCHES, Shop, estimate, fitted, fitting, measure, rates, refuse_misfits
from unisid.capacity.calibrate import UNITS, calibrate, costs_of, kept, small
from unisid.capacity.machines import MACHINES, machine_of
from unisid.cli import main
from unisid.errors import ArtifactError, ConfigError
from unisid.pipeline import NOUNS

RESULTS = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*-scale.json"))
H100 = MACHINES["H100"]
WITHIN = 0.2


def measured() -> list[tuple[str, str]]:
    """Every stage at every number of items that was measured and committed last."""
    figures = json.loads(RESULTS[-1].read_text())["figures"]
    return [(noun, items) for noun in UNITS for items in figures.get(noun, {})]


@pytest.mark.parametrize(("noun", "items"), measured())
def test_the_model_is_within_a_fifth_of_what_was_measured(noun, items):
    figures = json.loads(RESULTS[-1].read_text())["figures"]
    [cost] = [each for each in costs_of(figures, "committed") if each.noun == noun]
    counts, run = figures["catalog"][items]["counts"], figures[noun][items]
    tokens = figures["embeddings"][items]["counts"]["tokens"]
    shop = Shop(
        items=counts["items"],
        interactions_per_item=counts["interactions"] / counts["items"],
        items_per_user=counts["items"] / counts["test"],
        tokens=tokens / counts["items"],
    )
    [found] = estimate(shop, [cost], 1, 1)
    assert found.seconds == pytest.approx(run["cpu_seconds"], rel=WITHIN)
    assert found.memory == pytest.approx(run["peak_mib"] * 2**20, rel=WITHIN)


@given(
    st.floats(0, 100), st.floats(1e-6, 1e-2), st.lists(st.integers(10**3, 10**7), min_size=2, max_size=4, unique=True)
)
def test_a_straight_line_is_found_again(fixed, slope, sizes):
    points = {float(x): dict.fromkeys(("seconds", "memory", "disk"), fixed + slope * x) for x in sizes}
    cost = fitted("codes", "items", points, "drawn", 1.5)
    for x, each in points.items():
        [found] = estimate(Shop(items=x), [cost], 1, 1)
        assert found.seconds == pytest.approx(each["seconds"], rel=1e-3)
        assert found.memory == pytest.approx(each["memory"], rel=1e-3)
        assert found.shortest <= found.seconds <= found.longest


@given(st.floats(1e3, 1e9), st.integers(1, 256))
def test_work_is_shared_out_and_grows_in_proportion(items, devices):
    one, many = (estimate(Shop(items=items), rates.h100(), n, 192) for n in (1, devices))
    twice = estimate(Shop(items=2 * items, test_users=2e5), rates.h100(), 1, 192)
    for alone, shared, double in zip(one, many, twice, strict=True):
        assert shared.seconds <= alone.seconds
        assert shared.disk == alone.disk
        assert double.disk == pytest.approx(2 * alone.disk)
        most = 2.001**1.5 if double.noun in SEARCHES else 2.001
        assert alone.seconds <= double.seconds <= most * alone.seconds


def test_a_search_is_told_from_what_is_in_proportion():
    """Where there are more sizes than terms, and for the stage that searches alone."""
    sizes = (10**4, 10**5, 3 * 10**5, 10**6)
    points = {x: {"seconds": 4 + 3e-4 * x + 2e-7 * x**1.5, "memory": 1.0, "disk": 1.0} for x in sizes}
    cost = fitted("fused", "items", points, "drawn", 1.5)
    assert (cost.seconds, 1 / cost.rate, cost.search) == pytest.approx((4, 3e-4, 2e-7), rel=1e-3)
    [found] = estimate(Shop(items=4e6), [cost], 2, 2)
    assert found.seconds == pytest.approx(4 + (1200 + 1600) / 2, rel=1e-3)
    assert found.longest == pytest.approx(4 + 1.5 * (1200 + 1600) / 2, rel=1e-3)
    assert fitted("codes", "items", points, "drawn", 1.5).search == 0
    assert fitted("fused", "items", {x: points[x] for x in sizes[:3]}, "drawn", 1.5).search == 0


def test_every_noun_of_a_plain_recipe_has_a_cost():
    optional = {"joint", "keywords", "instructions", "baseline"}
    assert [cost.noun for cost in rates.h100()] == list(UNITS) == [noun for noun in NOUNS if noun not in optional]


def test_what_does_not_fit_is_refused_with_what_would():
    shop = Shop(items=1e8)
    found = estimate(shop, rates.h100(), 8, 192)
    with pytest.raises(ConfigError, match=r"8xH100: graph needs 245 GB of each device, a H100 has 80"):
        refuse_misfits(found, H100, 8)
    assert fitting(shop, rates.h100(), H100) == 64
    refuse_misfits(estimate(shop, rates.h100(), 64, 8 * 192), H100, 64)
    small_disk = dataclasses.replace(H100, disk=1e12)
    with pytest.raises(ConfigError, match=r"artifacts need 14,\d+ GB of disk, 8 machines have 8,000"):
        refuse_misfits(estimate(shop, rates.h100(), 64, 8 * 192), small_disk, 64)
    kept_few = estimate(shop, rates.h100(states_share=0.01), 64, 8 * 192)
    refuse_misfits(kept_few, small_disk, 64)
    assert fitting(Shop(items=1e12), rates.h100(), H100) is None


@pytest.mark.parametrize("text", ["8xV100", "x", "0xH100", "-1xH100", "8 x H100", ""])
def test_unknown_machines_are_refused(text):
    with pytest.raises(ConfigError, match="must be a number of devices and one of H100, H200, cpu"):
        machine_of(text)


def test_machines_are_named_in_either_case():
    assert machine_of("16xh100") == (H100, 16)
    assert machine_of("cpu") == (MACHINES["cpu"], 1)


def test_the_command_prints_every_stage_and_refuses(capsys, place):
    assert main(["plan", "--items", "1e6", "--store", place.uri, "--price", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:9]] == list(UNITS)
    assert main(["plan", "--items", "1e6", "--store", place.uri, "--price", "2", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["machine"], body["devices"]) == ("H100", 8)
    assert [each["noun"] for each in body["stages"]] == list(UNITS)
    assert all(each["dollars"] == pytest.approx(each["seconds"] / 3600 * 16) for each in body["stages"])
    assert main(["plan", "--items", "1e8", "--store", place.uri]) == 1
    assert "64xH100 would do" in capsys.readouterr().err
    assert main(["plan", "--items", "nan", "--store", place.uri]) == 1
    assert "must be from 1 to 1e12" in capsys.readouterr().err
    assert main(["plan", "--items", "1e6", "--on", "here", "--store", place.uri]) == 1
    assert "nothing was calibrated here" in capsys.readouterr().err


def test_a_stage_is_measured(place, monkeypatch):
    """Requests reach a file system at least once for every file that is made."""
    for name in measure.REQUESTS:
        monkeypatch.setattr(Place, name, getattr(Place, name))  # put back afterwards
    store, recipe = Store(place), small(tiny(), 120)
    found = measure.stage("catalog", recipe, store)
    files = store.place(Address("catalog", recipe.name, "1")).sizes()
    assert found["requests"] >= len(files)
    assert found["peak_mib"] >= found["before_mib"] > 50
    assert found["counts"]["items"] <= 120


def test_small_recipes_have_one_pass_and_no_workers_of_their_own():
    recipe = small(tiny(), 500)
    assert (recipe.graph.epochs, recipe.fused.training.epochs, recipe.model.training.epochs) == (1, 1, 1)
    assert recipe.model.pool.workers == recipe.catalog.pool.workers == recipe.fused.writers.workers == 0


def test_a_calibration_is_kept_and_read_again(place, monkeypatch):
    from unisid.capacity import calibrate as module

    def pretended(name, items, noun, store):
        counts = {"items": items, "interactions": 5 * items, "test": items // 4, "tokens": 9 * items}
        return {"cpu_seconds": 1 + items / 1000, "peak_mib": 400, "disk_mib": items / 100, "counts": counts}

    monkeypatch.setattr(module, "_measured", pretended)
    store = Store(place)
    costs = calibrate("tiny", store)
    assert kept(store) == costs
    assert [cost.noun for cost in costs] == list(UNITS)
    assert costs[0].rate == pytest.approx(5000)
    assert costs[0].seconds == pytest.approx(1)
    place.write("capacity.json", b'{"costs": [{"noun": 1}]}')
    with pytest.raises(ArtifactError, match="holds no costs"):
        kept(store)


def test_a_cost_that_does_not_grow_is_fixed():
    always = dict.fromkeys(("seconds", "memory", "disk"), 3.0)
    cost = fitted("codes", "items", {10.0: always, 20.0: always}, "drawn", 1.5)
    assert cost.seconds == pytest.approx(3, rel=1e-3)
