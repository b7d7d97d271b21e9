"""A calibration: measured in its time, fitted, kept in the store and read again."""

import dataclasses
import json
import logging

import pytest

from tests.end_to_end.recipes import tiny
from unisid.artifacts.store import Store
from unisid.capacity import Shop, estimate, refuse_misfits
from unisid.capacity.calibrate import UNITS, calibrate, costs_of, kept, sharers, small
from unisid.capacity.machines import MACHINES
from unisid.compute import Pool
from unisid.errors import ArtifactError, ConfigError, MachineError
from unisid.log import logged_to

H100 = MACHINES["H100"]


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
