"""Language models learn from their own answers too, shared out by ZeRO or not; prompts are those that serve."""

from dataclasses import replace

import pytest
import torch

from tests.backbones.models import language_model
from tests.stages import ring
from unisid.alignment import grpo
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_weights
from unisid.backbones import lcrec
from unisid.compute import Pool, Task
from unisid.language.lora import Lora
from unisid.ops.prompts import Prompt, Prompts
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import align, model, sequences
from unisid.training.loop import Training

N = 12
HERE, TWO = Pool(workers=0), Pool(workers=2)
CLIPPED = Training(epochs=1, learning_rate=1e-3, gradient_clip=0.3, checkpoint_seconds=1e6)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """All that the stage reads, with an untrained language model."""
    folder = tmp_path_factory.mktemp("language")
    place = Place.of(folder)
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(30, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    counts = sequences.make(ring.job(sequences.Config(), found, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    found["sequences"] = place / "sequences"
    return found, str(language_model(folder / "pretrained"))


def recommender(path, **settings):
    return model.Config(
        backbone=lcrec.Config(model=path, max_tokens=200, **settings),
        training=Training(epochs=1, learning_rate=1e-3),
        batch_size=8,
        samples_per_epoch=16,
        valid_samples=6,
        beam=N,
        pool=HERE,
    )


def begun(world, own, place):
    out = place / "first"
    counts = model.make(ring.job(own, world, out, LocalCompute()))
    ring.record(out, "model", {}, counts, ring.entry(world["codes"], "codes"))
    return world | {align.START: out}


def aligned(own, **settings):
    config = align.Config(
        objective=grpo.Config(prefix=0.5),
        answers=4,
        batch_size=8,
        prompts_per_epoch=16,
        keeps_start=False,
        training=CLIPPED,
        recommender=own,
        pool=HERE,
    )
    return replace(config, **settings)


def train_each(worker, tasks):
    """One fit after another in the same processes."""
    return [align.train(worker, task) for task in tasks]


def weights(out):
    return read_weights(out, "model.safetensors")


def make(config, world, out):
    align.make(ring.job(config, world, out, LocalCompute()))
    return weights(out)


def test_new_rows_and_adapters_alone_learn_where_only_they_do(world, place):
    """The reference is the whole recommender, supervised training included: at the start there is no divergence."""
    found, path = world
    own = recommender(path, trained="lora", lora=Lora(rank=2, dropout=0.0))
    there = begun(found, own, place)
    config = aligned(own, training=Training(epochs=1, learning_rate=1e-30))
    said: list = []
    align.make(ring.job(config, there, place / "still", LocalCompute(), said))
    assert [values["kl"] for values in said if "kl" in values] == [pytest.approx(0, abs=1e-8)]
    moved = make(aligned(own), there, place / "moved")
    assert any(not torch.equal(moved[name], tensor) for name, tensor in weights(there[align.START]).items())


def test_it_is_asked_as_it_was_in_supervised_training_and_is_then_served_so(world, place):
    """Of three stages with a prompt each, two see what the third never does."""
    found, path = world
    own = recommender(path)
    there = begun(found, own, place)
    other = Prompts(next=Prompt("Seen before:\n", "\nWhat next:"))
    with there[align.START].writing("prompts.json") as stream:
        stream.write(other.to_json())
    make(aligned(own), there, place / "model")
    assert (place / "model").read("prompts.json") == other.to_json()
    ring.record(place / "model", "model", {}, {}, ring.entry(found["codes"], "codes"))
    served = Recommender.load(place / "model", found["codes"], found["catalog"]).backbone
    before = served.encode(["Seen before:\n"])[0]
    assert served.asks == other
    assert served.before.tolist()[-len(before) :] == before


@pytest.mark.slow
def test_zero_learns_what_one_worker_does(world, place):
    found, path = world
    own = recommender(path)
    there = begun(found, own, place)
    plain = make(aligned(own), there, place / "plain")
    tasks = [
        Task(aligned(own, training=replace(CLIPPED, zero=zero), pool=TWO), there, place / f"zero-{zero}")
        for zero in (1, 3)
    ]
    LocalCompute().fit(train_each, tasks, name="zero", pool=TWO, work=place / "work")
    for task in tasks:
        for name, tensor in plain.items():
            torch.testing.assert_close(weights(task.out)[name], tensor, rtol=1e-3, atol=2e-5)
