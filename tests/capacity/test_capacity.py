"""The cost model: within a fifth of what was measured, linear, and it refuses what will not fit."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.capacity import Shop, estimate, fitted, fitting, rates, refuse_misfits
from unisid.capacity.calibrate import UNITS, costs_of
from unisid.capacity.laws import number_bits, score_bytes
from unisid.capacity.machines import MACHINES
from unisid.cli import main
from unisid.errors import ConfigError

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


SIZES = (10**4, 10**5, 3 * 10**5, 10**6)


def searched(lists):
    """What a stage takes that looks into so many lists at each of some sizes."""
    return {
        x: {"seconds": 4 + 3e-4 * x + 2e-8 * (8 + each / 4) * x**1.5, "memory": 1.0, "disk": 1.0, "lists": each}
        for x, each in zip(SIZES, lists, strict=False)
    }


def test_a_search_is_told_from_what_is_in_proportion():
    """Where there are more sizes than terms, and for the stage that searches alone."""
    points = {
        x: {name: value for name, value in each.items() if name != "lists"} for x, each in searched(4 * [8]).items()
    }
    cost = fitted("fused", "items", points, "drawn", 1.5)
    assert (cost.seconds, 1 / cost.rate, cost.search) == pytest.approx((4, 3e-4, 2e-7), rel=1e-3)
    [found] = estimate(Shop(items=4e6), [cost], 2, 2)
    assert found.seconds == pytest.approx(4 + (1200 + 1600) / 2, rel=1e-3)
    assert found.longest == pytest.approx(4 + 1.5 * (1200 + 1600) / 2, rel=1e-3)
    assert fitted("codes", "items", points, "drawn", 1.5).search == 0
    assert fitted("fused", "items", {x: points[x] for x in SIZES[:3]}, "drawn", 1.5).search == 0


def test_a_search_of_known_lists_is_told_by_as_many_sizes_as_terms():
    """And is planned to look into as many lists as at the largest size."""
    points = searched((16, 64, 32))
    cost = fitted("fused", "items", dict(reversed(points.items())), "drawn", 1.5)
    assert (cost.seconds, 1 / cost.rate, cost.search) == pytest.approx((4, 3e-4, 2e-8 * 16), rel=1e-3)
    assert fitted("fused", "items", {x: points[x] for x in SIZES[:2]}, "drawn", 1.5).search == 0


def test_a_search_that_compares_all_at_every_size_is_not_seen():
    points = {x: each | {"lists": 0} for x, each in searched(4 * [8]).items()}
    assert fitted("fused", "items", points, "drawn", 1.5).search == 0


def test_scores_are_held_besides_what_grows():
    """Until they fill their buffer, and no more of them afterwards."""
    points = {
        3 * x: {"seconds": 1, "memory": 5e8 + 2e3 * x + score_bytes(200, x), "disk": 1, "items": x, "ranked": 200}
        for x in SIZES[:3]
    }
    cost = fitted("graph", "interactions", points, "drawn", 1.5)
    assert (cost.memory, cost.unit_memory, cost.ranked) == pytest.approx((5e8, 2e3 / 3, 200), rel=1e-3)
    [found] = estimate(Shop(items=1e7, interactions_per_item=3), [cost], 1, 1)
    assert found.memory == pytest.approx(5e8 + 2e10 + score_bytes(200, 1e7), rel=1e-3)


def test_numbers_of_items_take_more_bytes_the_more_items_there_are():
    group, a_unit = 81_920, 12.0
    points = {
        3 * x: {
            "seconds": 1,
            "memory": 1,
            "disk": 5e4 + 3 * x * a_unit * number_bits(x, group) / 8,
            "items": x,
            "group": group,
        }
        for x in SIZES[:3]
    }
    cost = fitted("sequences", "interactions", points, "drawn", 1.5)
    assert (cost.disk, cost.numbers, cost.group, cost.unit_disk) == pytest.approx((5e4, a_unit, group, 0), rel=1e-3)
    [found] = estimate(Shop(items=1e8, interactions_per_item=3), [cost], 1, 1)
    assert found.disk == pytest.approx(3e8 * a_unit * number_bits(1e8, group) / 8, rel=1e-3)


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


def test_the_command_prints_every_stage_and_refuses(capsys, place):
    assert main(["plan", "--items", "1e6", "--store", place.uri, "--price", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:9]] == list(UNITS)
    assert main(["plan", "--items", "1e6", "--store", place.uri, "--price", "2", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["machine"], body["devices"]) == ("H100", 8)
    assert [each["noun"] for each in body["stages"]] == list(UNITS)
    assert all(each["dollars"] == pytest.approx(each["seconds"] / 3600 * 16) for each in body["stages"])
    assert body["not_counted"] == ["joint", "keywords", "instructions", "baseline", "align"]
    assert main(["plan", "--items", "1e6", "--on", "2xcpu", "--kept-states", "1e5", "--store", place.uri]) == 0
    shown = capsys.readouterr().out
    assert "H100" not in shown
    assert " 0 B a host" not in shown
    assert "not counted, where a recipe has them: joint, keywords, instructions, baseline, align" in shown
    assert main(["plan", "--items", "1e8", "--store", place.uri]) == 1
    assert "64xH100 would do" in capsys.readouterr().err
    assert main(["plan", "--items", "nan", "--store", place.uri]) == 1
    assert "must be from 1 to 1e12" in capsys.readouterr().err
    assert main(["plan", "--items", "1e6", "--on", "here", "--store", place.uri]) == 1
    assert "nothing was calibrated here" in capsys.readouterr().err


def test_a_catalog_that_is_sorted_on_disk_holds_no_more_than_it_may(capsys, place):
    def of_catalog(*settings):
        assert main(["plan", "demo", "--items", "1e7", "--store", place.uri, "--json", *settings]) == 0
        return {each["noun"]: each["memory"] for each in json.loads(capsys.readouterr().out)["stages"]}

    plain, bounded, zero = of_catalog(), of_catalog("--catalog.memory", "2"), of_catalog("--catalog.memory", "0")
    assert plain["catalog"] == zero["catalog"] > 6e9
    assert 2 * 2**30 < bounded["catalog"] < 2.5 * 2**30
    assert bounded | {"catalog": plain["catalog"]} == plain
    assert of_catalog("--catalog.memory", "64")["catalog"] == plain["catalog"]


def test_a_cost_that_does_not_grow_is_fixed():
    always = dict.fromkeys(("seconds", "memory", "disk"), 3.0)
    cost = fitted("codes", "items", {10.0: always, 20.0: always}, "drawn", 1.5)
    assert cost.seconds == pytest.approx(3, rel=1e-3)
