"""The cost model: within a fifth of what was measured, linear, and it refuses what will not fit."""

import dataclasses
import json
import logging
import math
import os
import shutil
import types
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.end_to_end.recipes import tiny
from unisid.artifacts.store import Address, Place, Store
from unisid.capacity import SEARCHES, Shop, estimate, fitted, fitting, measure, rates, refuse_misfits
from unisid.capacity.calibrate import UNITS, calibrate, costs_of, kept, sharers, small
from unisid.capacity.laws import number_bits, score_bytes
from unisid.capacity.machines import MACHINES, here, machine_of
from unisid.cli import main
from unisid.compute import Pool
from unisid.errors import ArtifactError, ConfigError, MachineError
from unisid.log import logged_to
from unisid.ops import nearest
from unisid.ops.nearest import Nearest
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
    [group] = [cost.group for cost in rates.h100() if cost.numbers]
    for alone, shared, double in zip(one, many, twice, strict=True):
        assert shared.seconds <= alone.seconds
        assert shared.disk == alone.disk
        more = number_bits(2 * items, group) / number_bits(items, group) if double.noun == "sequences" else 1
        assert double.disk == pytest.approx(2 * more * alone.disk)
        most = 2.001**1.5 if double.noun in SEARCHES else 2.001
        assert alone.seconds <= double.seconds <= most * alone.seconds


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


def test_a_stage_is_measured(place, monkeypatch):
    """Requests reach a file system at least once for every file that is made."""
    for owner, name in [*((Place, name) for name in measure.REQUESTS), (Nearest, "build")]:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    store, recipe = Store(place), small(tiny(), 120)
    found = measure.stage("catalog", recipe, store)
    files = store.place(Address("catalog", recipe.name, "1")).sizes()
    assert found["requests"] >= len(files)
    assert found["peak_mib"] >= found["before_mib"] > 50
    assert found["counts"]["items"] <= 120


def test_the_searched_lists_are_noted(monkeypatch):
    monkeypatch.setattr(Nearest, "build", Nearest.build)  # put back afterwards
    monkeypatch.setattr(nearest, "FEWEST", 2)
    found, vectors = measure.searched(), np.eye(64, dtype=np.float32).repeat(8, axis=0)
    Nearest.build(vectors, 3)
    Nearest.build(vectors, 3, exact_limit=100)
    assert found == [0, 2]


def test_small_recipes_have_one_pass_and_no_workers_of_their_own():
    recipe = small(tiny(), 500)
    assert (recipe.graph.epochs, recipe.fused.training.epochs, recipe.model.training.epochs) == (1, 1, 1)
    assert recipe.model.pool.workers == recipe.catalog.pool.workers == recipe.fused.writers.workers == 0


def figures(items, **more):
    """What a stage took, as if it had been measured."""
    counts = {"items": items, "interactions": 5 * items, "test": items // 4, "tokens": 9 * items}
    found = {"cpu_seconds": 1 + items / 1000, "seconds": 9.0, "peak_mib": 400, "disk_mib": items / 100}
    found["before_mib"] = 300
    return found | {"counts": counts} | more


def test_a_calibration_ends_in_its_time(place, monkeypatch, caplog):
    """What takes longer is ended; a stage that is not measured is named, and is no part of a plan."""
    from unisid.capacity import calibrate as module

    begun, real = [], module._measured

    def measured(name, items, noun, store, seconds):
        begun.append(noun)
        return figures(items) if noun in ("catalog", "embeddings") else real(name, items, noun, store, 0.05)

    monkeypatch.setattr(module, "_measured", measured)
    store = Store(place)
    (place / "calibration").write("of-an-earlier-one", b"")
    with logged_to(caplog.handler, logging.WARNING):
        costs = calibrate("demo", store, seconds=5)
    assert begun == ["catalog", "embeddings", "graph"]
    assert [cost.noun for cost in costs] == ["catalog", "embeddings"]
    assert "5 s did not suffice for graph, fused, codes, sequences, model, metrics" in caplog.text
    assert not (place / "calibration").exists()
    monkeypatch.setattr(module, "_measured", lambda *words: None)
    with pytest.raises(MachineError, match="'demo' makes no catalog in 0.1 s"):
        calibrate("demo", store, seconds=0.1)


def test_where_a_gpu_worked_the_time_that_passed_counts():
    both = {noun: {1000: figures(1000), 4000: figures(4000)} for noun in UNITS}
    both["model"] = {items: figures(items, device_mib=700, seconds=items / 100) for items in (1000, 4000)}
    costs = {cost.noun: cost for cost in costs_of(both, "here", shares=dict.fromkeys(UNITS, (2.0, 1.0)))}
    model, codes = costs["model"], costs["codes"]
    assert (model.where, model.memory_of, model.workers) == ("device", "device", 1.0)
    assert model.rate == pytest.approx(5 * 100)
    assert (model.memory, model.host_memory) == pytest.approx((700 * 2**20, 400 * 2**20))
    assert (codes.where, codes.memory_of, codes.workers) == ("host", "host", 2.0)
    assert codes.rate == pytest.approx(1000)
    [on_gpus] = estimate(Shop(items=1e6), [model], 8, 64)
    assert on_gpus.seconds == pytest.approx(1e7 / 500, rel=1e-3)  # one GPU of eight: its pool has no more
    [on_cores] = estimate(Shop(items=1e6), [codes], 8, 64)
    assert on_cores.seconds == pytest.approx(1 + 1e6 / 1000 / 2, rel=1e-3)
    with pytest.raises(ConfigError, match=r"model needs 1 GB of each device, a H100 has 0"):
        refuse_misfits([on_gpus], dataclasses.replace(H100, device_memory=0.5e9), 8)
    with pytest.raises(ConfigError, match=r"model needs 0 GB of each host, a H100 has 0"):
        refuse_misfits([on_gpus], dataclasses.replace(H100, host_memory=0.3e9), 8)


def test_a_stage_that_one_size_is_known_of():
    [cost] = costs_of({"catalog": {1000: figures(1000, before_mib=300)}}, "here")
    assert (cost.memory, cost.unit_memory) == pytest.approx((300 * 2**20, 100 * 2**20 / 5000))
    assert (cost.seconds, cost.rate) == pytest.approx((0, 5000 / 2))
    assert cost.source == "here, one size: at most"


def test_the_cores_that_share_a_stage_are_those_of_its_pools():
    recipe = tiny()
    pools = dataclasses.replace(recipe.model, pool=Pool(workers=4, cpus=3, gpus=0.5))
    found = sharers(dataclasses.replace(recipe, model=pools))
    assert found["model"] == (12.0, 2.0)
    assert set(found) == set(UNITS)
    assert min(cores for cores, _ in found.values()) >= 1


def test_this_machine_is_what_it_is(place, monkeypatch):
    found = here(Store(place))
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.host_memory == psutil.virtual_memory().total
    assert found.disk == pytest.approx(shutil.disk_usage(place.uri).free, rel=0.05)
    assert (found.devices, found.device_memory) == (max(1, torch.cuda.device_count()), found.device_memory)
    assert here(Store(Place.of("memory://nowhere"))).disk == math.inf
    gpu = types.SimpleNamespace(name="NVIDIA L4", total_memory=24e9)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: gpu)
    found = here(Store(place))
    assert (found.devices, found.device_memory) == (2, 24e9)
    assert "2 GPUs (NVIDIA L4)" in found.source


def test_machines_of_two_cores_have_rates_of_their_own():
    fast, slow = rates.h100(), rates.cpu()
    assert [cost.noun for cost in fast] == [cost.noun for cost in slow] == list(UNITS)
    assert all(cost.memory > 0 for cost in [*fast, *slow])
    assert {cost.memory_of for cost in slow} == {"host"}
    assert not any("H100" in cost.source for cost in slow)
    shop = Shop(items=1e6)
    found = zip(UNITS, estimate(shop, fast, 1, 2), estimate(shop, slow, 1, 2), strict=True)
    ratios = {noun: cpu.seconds / gpu.seconds for noun, gpu, cpu in found}
    assert all(ratios[noun] == pytest.approx(1, rel=1e-6) for noun in ("catalog", "sequences", "metrics"))
    assert all(ratios[noun] > 100 for noun in ("embeddings", "graph", "fused", "codes", "model"))
    assert set(rates.RATES) == set(MACHINES)


def test_a_calibration_is_kept_and_read_again(place, monkeypatch):
    from unisid.capacity import calibrate as module

    monkeypatch.setattr(module, "_measured", lambda name, items, noun, store, seconds: figures(items))
    store = Store(place)
    costs = calibrate("demo", store)
    assert kept(store) == costs
    assert [cost.noun for cost in costs] == list(UNITS)
    assert costs[0].rate == pytest.approx(5000)
    assert costs[0].seconds == pytest.approx(1)
    place.write("capacity.json", b'{"costs": [{"noun": 1}]}')
    with pytest.raises(ArtifactError, match="holds no costs"):
        kept(store)
    place.write("capacity.json", json.dumps({"costs": [dataclasses.asdict(costs[0]) | {"workers": 0}]}).encode())
    with pytest.raises(ArtifactError, match="how many workers shared the work is not among them.*calibrate again"):
        kept(store)


def test_a_cost_that_does_not_grow_is_fixed():
    always = dict.fromkeys(("seconds", "memory", "disk"), 3.0)
    cost = fitted("codes", "items", {10.0: always, 20.0: always}, "drawn", 1.5)
    assert cost.seconds == pytest.approx(3, rel=1e-3)
