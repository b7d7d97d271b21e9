"""What a model answers inside a training step is the same for any number of workers, and with sharded weights."""

import dataclasses

import numpy as np
import pytest

from tests.training import toy_policy
from tests.training.toy_policy import Task
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.runtime.local import LocalCompute
from unisid.training.loop import Training

TRAINING = Training(epochs=4, learning_rate=3e-3, precision="float32")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    work = Place.of(tmp_path_factory.mktemp("alone"))
    return LocalCompute().fit(toy_policy.train, Task(TRAINING), name="one", pool=Pool(workers=0), work=work)


def test_a_recommender_learns_from_what_its_search_found(alone):
    assert alone["score"] > alone["before"] + 0.1


def test_answers_are_made_in_eval_mode_without_gradients(alone):
    assert alone["modes"] == [(False, False)] * (TRAINING.epochs * toy_policy.STEPS)


@pytest.mark.slow
def test_two_workers_and_sharded_weights_learn_what_one_learns(alone, tmp_path):
    tasks = [Task(dataclasses.replace(TRAINING, zero=zero)) for zero in (0, 3)]
    found = LocalCompute().fit(toy_policy.train_each, tasks, name="two", pool=Pool(workers=2), work=Place.of(tmp_path))
    for result in found:
        assert result["score"] == pytest.approx(alone["score"], abs=1e-3)
        for name, weight in alone["weights"].items():
            np.testing.assert_allclose(result["weights"][name], weight, rtol=1e-2, atol=1e-4, err_msg=name)
