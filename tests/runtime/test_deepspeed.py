"""ZeRO learns what the plain engine learns, also when resumed by other workers and after any of them died."""

import dataclasses
import sys

import pytest
import torch

from tests.training import toy_language
from tests.training.toy_language import Task
from unisid.artifacts.store import Place
from unisid.compute import Descent, Pool
from unisid.errors import ConfigError
from unisid.runtime import deepspeed
from unisid.runtime.local import LocalCompute
from unisid.training.loop import Training

ONE, TWO = Pool(workers=1), Pool(workers=2)
TRAINING = Training(epochs=3, learning_rate=0.01, weight_decay=0.1, warmup_steps=2, checkpoint_seconds=0.0)


def training(zero, precision="float32"):
    return dataclasses.replace(TRAINING, zero=zero, precision=precision)


def fit(compute, work, task, pool, name="tongue"):
    return compute.fit(toy_language.train, task, name=name, pool=pool, work=Place.of(work))


def assert_same(one, two, **tolerance):
    for name, value in one["weights"].items():
        if name != "seen":
            torch.testing.assert_close(torch.from_numpy(two["weights"][name]), torch.from_numpy(value), **tolerance)
    assert two["score"] == pytest.approx(one["score"], rel=1e-3)


def test_the_json_follows_from_the_settings():
    made = deepspeed.settings(Descent(zero=2, bfloat16=True, gradient_clip=0.5, micro_batches=4), workers=8)
    assert made["zero_optimization"]["stage"] == 2
    assert made["bf16"] == {"enabled": True}
    assert made["gradient_clipping"] == 0.5
    assert made["gradient_accumulation_steps"] == 4
    assert made["train_batch_size"] == 4 * 8 * made["train_micro_batch_size_per_gpu"]
    assert "optimizer" not in made


def test_a_missing_package_names_the_extra(monkeypatch):
    class Half:
        size, device = 2, torch.device("cpu")

    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(ConfigError, match=r"needs the package deepspeed .*install unisid\[llm\]"):
        deepspeed.ZeroEngine(Half(), toy_language.Tongue(), Descent(zero=1), None)


def test_one_worker_shares_with_none(tmp_path):
    plain = fit(LocalCompute(), tmp_path / "plain", Task(training(0)), ONE)
    alone = fit(LocalCompute(), tmp_path / "alone", Task(training(3)), ONE)
    assert_same(plain, alone, rtol=0, atol=0)


def every_stage(worker, tasks):
    """One fit after another in the same processes, as a worker group serves them."""
    return [toy_language.train(worker, task) for task in tasks]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return fit(LocalCompute(), tmp_path_factory.mktemp("plain"), Task(training(0)), ONE)


@pytest.mark.slow
def test_every_stage_learns_what_the_plain_engine_does(tmp_path, plain):
    tasks = [Task(training(zero), micro_batches=2) for zero in (1, 2, 3)]
    tasks += [Task(training(zero, "bfloat16")) for zero in (1, 2, 3)]
    found = LocalCompute().fit(every_stage, tasks, name="all", pool=TWO, work=Place.of(tmp_path))
    for result in found[:3]:
        assert_same(plain, result, rtol=1e-3, atol=1e-5)
        assert result["weights"]["seen"] == 9 * 2 + 1, "every micro-batch once, and the look at the released model"
    for result in found[3:]:
        assert (result["weights"]["frozen.weight"] == plain["weights"]["frozen.weight"]).all(), "rounded"
        assert result["score"] == pytest.approx(plain["score"], rel=0.02)
        assert all(w.dtype in ("float32", "int64") for w in result["weights"].values())


@pytest.mark.slow
@pytest.mark.parametrize(("zero", "before", "after"), [(2, TWO, ONE), (3, ONE, TWO), (1, ONE, TWO)])
def test_another_number_of_workers_goes_on(tmp_path, plain, zero, before, after):
    task = Task(training(zero), stop_at=2)
    with pytest.raises(Exception, match="stopped"):
        fit(LocalCompute(), tmp_path, task, before)
    resumed = fit(LocalCompute(), tmp_path, dataclasses.replace(task, stop_at=99), after)
    assert_same(plain, resumed, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [2, 3])
def test_a_killed_worker_costs_nothing_but_time(ray_compute, tmp_path, plain, zero):
    marker = tmp_path / "struck"
    task = Task(training(zero), stop_at=2, marker=str(marker))
    struck = fit(ray_compute, tmp_path / "work", task, TWO)
    assert marker.exists()
    assert struck["epochs"] == 3
    assert_same(plain, struck, rtol=1e-3, atol=1e-5)
