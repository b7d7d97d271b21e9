import dataclasses
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.legends import without_words
from tests.lines import logged
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.weights import read_weights
from unisid.backbones.tiger import Config as Tiger
from unisid.compute import Pool
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import model, sequences
from unisid.training.loop import Training

N = 24
TINY = Tiger(
    width=64,
    num_heads=4,
    head_width=16,
    feedforward_width=128,
    num_encoder_layers=1,
    num_decoder_layers=1,
    dropout=0.05,
)
CONFIG = model.Config(
    backbone=TINY,
    training=Training(epochs=4, learning_rate=3e-3, checkpoint_seconds=0.0),
    batch_size=64,
    valid_samples=60,
    beam=20,
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    from unisid.artifacts.store import Place

    place = Place.of(tmp_path_factory.mktemp("ring"))
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(400, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    counts = sequences.make(ring.job(sequences.Config(), found, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    return {**found, "sequences": place / "sequences"}


def make(config, inputs, out, said=None):
    counts = model.make(ring.job(config, inputs, out, LocalCompute(), said))
    ring.record(out, "model", {}, counts, ring.entry(inputs["codes"], "codes"))
    return counts


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    from unisid.artifacts.store import Place

    out = Place.of(tmp_path_factory.mktemp("trained") / "model")
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, epochs=40))
    said: list = []
    return out, make(config, inputs, out, said), said


def test_it_learns_the_way_along_the_ring(trained):
    _, counts, said = trained
    assert without_words("model", said) == set()
    losses = [values["loss"] for values in said if isinstance(values, dict)]
    assert losses[-1] < losses[0] / 2
    assert counts["valid_ndcg_10"] > 0.7
    assert counts["parameters"] > 0
    assert counts["samples_per_second"] > 0
    assert all(0 <= values["valid_score"] <= 1 for values in said if isinstance(values, dict))


def test_the_recommender_follows_the_ring_and_bars_the_history(trained, inputs):
    recommender = Recommender.load(trained[0], inputs["codes"], inputs["catalog"])
    histories = [[3, 4, 5, 6], [10, 12, 14], [12, 13, 14, 15, 16, 17, 18, 19]]
    items, scores = recommender.rank([np.array(h) for h in histories], 5)
    assert items[:, 0].tolist() == [7, 16, 20]
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, history in zip(items, histories, strict=True):
        assert not set(row.tolist()) & set(history)
    everything, _ = recommender.rank([np.array([3, 4, 5, 6])], N, exclude_history=False)
    assert sorted(everything[0].tolist()) == list(range(N))
    few, _ = recommender.rank([np.array([3, 4, 5, 6])], N, exclude_history=True)
    assert few[0, -4:].tolist() == [-1] * 4


def test_a_history_is_read_as_far_back_as_it_was_trained(trained, inputs):
    recommender = Recommender.load(trained[0], inputs["codes"], inputs["catalog"])
    long = np.arange(ring.HISTORY + 5)
    _, whole = recommender.rank([long], 5, exclude_history=False)
    _, end = recommender.rank([long[-ring.HISTORY :]], 5, exclude_history=False)
    assert np.array_equal(whole, end)


def test_batches_of_histories_change_nothing(trained, inputs):
    recommender = Recommender.load(trained[0], inputs["codes"], inputs["catalog"])
    histories = [np.array(walk[:-1]) for walk in ring.walks(20, N, seed=5)]
    items, scores = recommender.rank(histories, 5)
    few = dataclasses.replace(recommender, batch_size=3)
    assert np.array_equal(few.rank(histories, 5)[0], items)
    assert np.allclose(few.rank(histories, 5)[1], scores, atol=1e-5)


@pytest.mark.parametrize(
    ("history", "k", "beam", "error", "message"),
    [
        ([], 5, None, DataError, "history 0: is empty"),
        ([1, N], 5, None, DataError, f"history 0: no item {N}; items are numbered 0 to {N - 1}"),
        ([-1], 5, None, DataError, "history 0: no item -1"),
        ([1], N + 1, None, ConfigError, f"k is {N + 1} with {N} items"),
        ([1], 10, 5, ConfigError, "beam 5 is smaller than k, 10"),
    ],
)
def test_bad_questions_are_refused(trained, inputs, history, k, beam, error, message):
    recommender = Recommender.load(trained[0], inputs["codes"], inputs["catalog"])
    with pytest.raises(error, match=message):
        recommender.rank([np.array(history, np.int64)], k, beam_width=beam)


def test_another_index_than_its_own_is_refused(trained, inputs, place):
    other = ring.write_index(place / "other", N, seed=9)
    with pytest.raises(ArtifactError, match="load it with the index it was trained on"):
        Recommender.load(trained[0], other, inputs["catalog"])


def test_the_saved_weights_are_those_of_the_best_epoch(trained, inputs):
    out, counts, said = trained
    index = Codes.read(inputs["codes"])
    assert Model.read(out, index).backbone()["width"] == 64
    scores = [values["valid_score"] for values in said if isinstance(values, dict)]
    assert counts["valid_ndcg_10"] == max(scores)
    assert counts["best_epoch"] == scores.index(max(scores)) + 1


@pytest.mark.parametrize("rule", ["excluded", "allowed"])
def test_validation_ranks_as_the_recommender_would_under_the_history_rule(place, rule):
    rng = np.random.default_rng(8)
    users = [rng.choice(N, size=12).tolist() for _ in range(60)]  # items come again, and more than a history holds
    at = {"catalog": ring.write_catalog(place / "catalog", users, N), "codes": ring.write_index(place / "codes", N)}
    counts = sequences.make(ring.job(sequences.Config(), at, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    at["sequences"] = place / "sequences"
    training = dataclasses.replace(CONFIG.training, epochs=1)
    config = dataclasses.replace(CONFIG, training=training, valid_samples=0, valid_history=rule, beam=N)
    judged = make(config, at, place / "model")["valid_ndcg_10"]

    recommender = Recommender.load(place / "model", at["codes"], at["catalog"])
    found, _ = recommender.rank([np.array(user[:-2]) for user in users], 10, rule == "excluded", beam_width=N)
    places = [np.flatnonzero(row == user[-2]) for row, user in zip(found, users, strict=True)]
    assert judged == pytest.approx(np.mean([1 / np.log2(p[0] + 2) if len(p) else 0 for p in places]), rel=1e-6)
    again = [user[-2] in user[:-2] for user in users]
    assert 5 < sum(again) < 55
    assert any(len(p) for p, taken in zip(places, again, strict=True) if taken) == (rule == "allowed")


def test_sequences_of_another_catalog_are_refused(inputs, place):
    other = ring.write_catalog(place / "other", ring.walks(399, N), N)
    with pytest.raises(ArtifactError, match=r"its \d+ valid samples are not the \d+ of the catalog .* one recipe"):
        make(CONFIG, {**inputs, "catalog": other}, place / "model")


def weights(out):
    return read_weights(out, "model.safetensors")


@pytest.mark.parametrize("samples_per_epoch", [0, 320])
def test_a_killed_fit_goes_on_as_if_nothing_had_been(inputs, place, samples_per_epoch):
    config = dataclasses.replace(CONFIG, samples_per_epoch=samples_per_epoch)
    make(config, inputs, place / "undisturbed")

    class StruckError(Exception):
        pass

    def strike(values):
        if values["epoch"] == 2:
            raise StruckError

    out = place / "struck"
    job = ring.job(config, inputs, out, LocalCompute())
    with pytest.raises(StruckError):
        model.make(dataclasses.replace(job, report=strike))
    said: list = []
    make(config, inputs, out, said)
    assert [values["epoch"] for values in said if isinstance(values, dict)] == [3, 4]
    for name, tensor in weights(place / "undisturbed").items():
        assert torch.equal(tensor, weights(out)[name]), name


@pytest.mark.slow
def test_a_killed_process_leaves_a_checkpoint_that_is_gone_on_from(inputs, place):
    make(CONFIG, inputs, place / "undisturbed")
    program = (
        "import json, os, signal, sys\n"
        "from dataclasses import replace\n"
        "from unisid.artifacts.store import Place\n"
        "from tests.stages.test_model import CONFIG, LocalCompute, model, ring\n"
        "places = {noun: Place(uri) for noun, uri in json.loads(sys.argv[1]).items()}\n"
        "job = ring.job(CONFIG, places, Place(sys.argv[2]), LocalCompute())\n"
        "kill = lambda values: os.kill(os.getpid(), signal.SIGKILL) if values['epoch'] == 2 else None\n"
        "model.make(replace(job, report=kill))\n"
    )
    places = json.dumps({noun: at.uri for noun, at in inputs.items()})
    command = [sys.executable, "-c", program, places, (place / "killed").uri]
    died = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert died.returncode == -signal.SIGKILL
    assert not (place / "killed").exists("model.safetensors")
    said: list = []
    make(CONFIG, inputs, place / "killed", said)
    assert [values["epoch"] for values in said if isinstance(values, dict)] == [3, 4]
    for name, tensor in weights(place / "undisturbed").items():
        assert torch.equal(tensor, weights(place / "killed")[name]), name


@pytest.mark.slow
def test_two_workers_share_the_work(inputs, place):
    config = dataclasses.replace(CONFIG, pool=Pool(workers=2))
    said: list = []
    counts = make(config, inputs, place / "two", said)
    losses = [values["loss"] for values in said if isinstance(values, dict)]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert math.isfinite(counts["valid_ndcg_10"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 5}, "model.beam: is 5; must be at least 10"),
        ({"beams": (20, 5)}, "model.beams: is 5; must be at least 10"),
        ({"batch_size": 0}, "batch_size: is 0; must be at least 1"),
        ({"valid_history": "barred"}, "valid_history: is 'barred'; must be one of excluded, allowed"),
        ({"batch_size": 65, "pool": Pool(workers=2)}, "batch_size 65 over 2 workers; must divide evenly"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        model.Config(**settings)


@pytest.mark.parametrize(("rule", "taken", "warned"), [("excluded", 9, 1), ("allowed", 9, 0), ("excluded", 2, 0)])
def test_a_choice_that_rests_on_few_samples_is_said(inputs, place, rule, taken, warned):
    class Idle(LocalCompute):
        def fit(self, *args, **kwargs):
            return {}

    catalog = ring.write_catalog(place / "catalog", ring.walks(40, N), N)
    ring.record(catalog, "catalog", {}, {"items": N, "users": 40, "valid": 10, "taken_before": {"valid": taken}})
    config = dataclasses.replace(CONFIG, valid_history=rule)
    with logged() as lines:
        model.make(ring.job(config, {**inputs, "catalog": catalog}, place / "model", Idle()))
    assert len([line for line in lines if "9 of 10 valid targets" in line and "model.valid_history" in line]) == warned
