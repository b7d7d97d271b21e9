"""A language model that learns from instructions: what the step's division changes (nothing), and who may learn so."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import language_model
from tests.stages import ring
from unisid import recipes
from unisid.artifacts.instructions import Instructions
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_weights
from unisid.backbones import NO_LOSS, Packed, lcrec, tiger
from unisid.backbones.lcrec.model import LCRec
from unisid.compute import Pool
from unisid.errors import ConfigError, DataError
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import instructions, model, sequences
from unisid.stages.model.instructed import num_tokens
from unisid.training.loop import Training

N = 12
TWO = Pool(workers=2)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(40, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    for noun, stage, config in (
        ("sequences", sequences, sequences.Config()),
        ("instructions", instructions, instructions.Config(tasks=("next", "sid_to_title"), valid_rows=16)),
    ):
        counts = stage.make(ring.job(config, found, place / noun, LocalCompute()))
        ring.record(place / noun, noun, {"tasks": ["next", "sid_to_title"]}, counts)
        found[noun] = place / noun
    return found


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = language_model(tmp_path_factory.mktemp("language"), padding=100)  # rows enough for ZeRO 3 to cut
    return model.Config(
        backbone=lcrec.Config(model=str(folder), max_tokens=220),
        training=Training(epochs=2, learning_rate=3e-3, checkpoint_seconds=0.0),
        batch_size=16,
        samples_per_epoch=64,
        valid_samples=20,
        beam=N,
    )


def make(config, inputs, out):
    said: list = []
    counts = model.make(ring.job(config, inputs, out, LocalCompute(), said))
    ring.record(out, "model", {}, counts, ring.entry(inputs["codes"], "codes"))
    return counts, [values for values in said if isinstance(values, dict)]


@pytest.fixture(scope="module")
def undivided(config, inputs, tmp_path_factory):
    out = Place.of(tmp_path_factory.mktemp("undivided") / "model")
    return out, *make(config, inputs, out)


def test_what_became_of_the_rows_is_in_the_record(undivided):
    _, counts, _ = undivided
    assert counts["instructions"]["samples"] >= 2 * 64
    assert counts["instructions"]["dropped"] == 0


def test_rows_of_which_none_fits_are_an_error(config, inputs, place, monkeypatch):
    monkeypatch.setattr("unisid.training.packing.Packer._sample", lambda *row: None)
    with pytest.raises(
        DataError, match=r"instructions: none of the \d+ rows read so far fits 220 tokens; raise model.ba"
    ):
        make(config, inputs, place / "none")


def test_it_learns_and_says_how_fast(undivided, inputs):
    out, counts, said = undivided
    assert said[-1]["loss"] < said[0]["loss"]
    assert said[-1]["valid_loss"] < said[0]["valid_loss"]
    assert all(values["tokens_per_second"] > 0 for values in said)
    assert counts["valid_ndcg_10"] == max(values["valid_score"] for values in said)
    recommender = Recommender.load(out, inputs["codes"], inputs["catalog"], torch.device("cpu"))
    items, _ = recommender.rank([np.array([3, 4, 5])], N, exclude_history=False)
    assert sorted(items[0].tolist()) == list(range(N))


def assert_same(undivided, found, tolerance):
    out, _, said = undivided
    other, _, other_said = found
    for name in ("loss", "valid_loss"):
        assert [v[name] for v in other_said] == pytest.approx([v[name] for v in said], rel=tolerance)
    for name, weight in read_weights(out, "model.safetensors").items():
        found_weight = read_weights(other, "model.safetensors")[name]
        torch.testing.assert_close(found_weight, weight, rtol=0.02, atol=tolerance)


def test_learned_again_it_is_the_same_byte_for_byte(undivided, config, inputs, place):
    out, counts, said = undivided
    again, told = make(config, inputs, place / "again")
    assert (place / "again").read("model.safetensors") == out.read("model.safetensors")
    assert [values["loss"] for values in told] == [values["loss"] for values in said]
    assert again["valid_ndcg_10"] == counts["valid_ndcg_10"]


def test_a_fit_that_is_killed_within_an_epoch_goes_on_to_the_same_bytes(undivided, config, inputs, place, monkeypatch):
    """In the middle of a pass over the instructions too: an epoch here is a part of one."""
    out, _, said = undivided
    rows = Instructions.read(inputs["instructions"]).num_rows("train")
    assert rows % 64, "no epoch ends with a pass"
    loss, steps = LCRec.loss_of, []

    def struck(self, packed):
        if self.training:
            steps.append(packed)
        if len(steps) == 6:  # the second step of the second epoch, four steps long
            raise RuntimeError("struck")
        return loss(self, packed)

    with monkeypatch.context() as patched:
        patched.setattr(LCRec, "loss_of", struck)
        with pytest.raises(Exception, match="struck"):
            model.make(ring.job(config, inputs, place / "model", LocalCompute()))
    _, told = make(config, inputs, place / "model")
    assert [values["epoch"] for values in told] == [2]
    assert (place / "model").read("model.safetensors") == out.read("model.safetensors")
    assert told[-1]["loss"] == said[-1]["loss"]


def test_what_is_cut_is_counted_in_the_record(config, inputs, place):
    """A model that reads less of a prompt: the oldest items are gone, and the record says of how many rows."""
    short = dataclasses.replace(config, backbone=dataclasses.replace(config.backbone, max_tokens=68))
    counts, _ = make(short, inputs, place / "short")
    assert counts["instructions"]["shortened"] > 0
    assert counts["instructions"]["shortened"] + counts["instructions"]["dropped"] < counts["instructions"]["samples"]


@pytest.mark.parametrize("settings", [{"micro_batch": 4}, {"micro_batch": 8, "packed": False}])
def test_how_a_step_is_cut_changes_nothing(undivided, config, inputs, place, settings):
    found = make(dataclasses.replace(config, **settings), inputs, place / "cut")
    assert_same(undivided, (place / "cut", *found), 2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_two_workers_learn_what_one_does(undivided, config, inputs, place, zero):
    training = dataclasses.replace(config.training, zero=zero)
    backbone = dataclasses.replace(config.backbone, gradient_checkpointing=zero > 1)
    divided = dataclasses.replace(config, backbone=backbone, training=training, pool=TWO, micro_batch=4)
    assert_same(undivided, (place / "two", *make(divided, inputs, place / "two")), 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("trained", "zero"), [("lora", 3), ("rows", 2)])
def test_what_rests_is_shared_out_too(config, inputs, place, trained, zero):
    """Part of the model learns, in ZeRO's shares, as on one worker that holds it whole."""
    backbone = dataclasses.replace(config.backbone, trained=trained, lora=lcrec.Lora(rank=4, dropout=0.0))
    alone = dataclasses.replace(config, backbone=backbone)
    whole = make(alone, inputs, place / "whole")
    training = dataclasses.replace(config.training, zero=zero)
    divided = dataclasses.replace(alone, training=training, pool=TWO, micro_batch=4)
    found = make(divided, inputs, place / "divided")
    assert_same((place / "whole", *whole), (place / "divided", *found), 5e-3)


@pytest.fixture(scope="module")
def whole_tiger(inputs, tmp_path_factory):
    """A small TIGER on two workers that hold it whole: settings, inputs, what its training said."""
    small = tiger.Config(
        width=128, num_heads=2, feedforward_width=128, num_encoder_layers=1, num_decoder_layers=1, dropout=0.0
    )
    config = model.Config(
        backbone=small,
        training=Training(epochs=2, learning_rate=3e-3),
        batch_size=16,
        valid_samples=20,
        beam=N,
        pool=TWO,
        micro_batch=4,
    )
    without = {role: at for role, at in inputs.items() if role != "instructions"}
    _, said = make(config, without, Place.of(tmp_path_factory.mktemp("tiger") / "model"))
    return config, without, said


@pytest.mark.slow
@pytest.mark.parametrize("zero", [2, 3])
def test_tiger_too_can_be_shared_out(whole_tiger, place, zero):
    """Its forward pass takes weights past their modules, which ZeRO 3 has to notice."""
    config, without, expected = whole_tiger
    shared = dataclasses.replace(config, training=dataclasses.replace(config.training, zero=zero))
    _, said = make(shared, without, place / "shared")
    assert [v["loss"] for v in said] == pytest.approx([v["loss"] for v in expected], rel=1e-3)


def test_a_backbone_without_words_is_refused(config, inputs, place):
    with pytest.raises(ConfigError, match=r"model.backbone: 'tiger' is no language model .* \(lcrec\)"):
        make(dataclasses.replace(config, backbone=tiger.Config(width=16, num_heads=1)), inputs, place)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 24, "micro_batch": 9}, "micro_batch 9 does not divide the 24 samples .*; 3 would"),
        ({"batch_size": 24, "micro_batch": 8, "pool": TWO}, "micro_batch 8 does not divide the 12 samples .*; 4 would"),
        ({"micro_batch": -1}, "micro_batch: is -1; must be at least 0"),
    ],
)
def test_a_share_that_cannot_be_cut_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        model.Config(**settings)


def test_tokens_are_those_of_samples():
    positions = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 0, 0, 0, 0]])
    packed = Packed(torch.ones_like(positions), positions, torch.full_like(positions, NO_LOSS))
    assert num_tokens(packed) == 7


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_the_full_size_recipe_learns_in_small_on_two_workers(inputs, place, tmp_path, family):
    """Everything of `lcrec_office_15b` but its sizes, its shop and its machines: the thesis's words, the library's
    rows, the loss that selects, ZeRO 1."""
    recipe = recipes.find("lcrec_office_15b")
    folder = str(language_model(tmp_path / family, family, padding=100))
    asked = dataclasses.replace(recipe.instructions, valid_rows=8, pool=Pool())
    counts = instructions.make(ring.job(asked, inputs, place / "instructions", LocalCompute()))
    ring.record(place / "instructions", "instructions", {"tasks": list(asked.tasks)}, counts)
    small = dataclasses.replace(
        recipe.model,
        backbone=dataclasses.replace(recipe.model.backbone, model=folder, dtype="float32", max_tokens=600),
        training=dataclasses.replace(recipe.model.training, epochs=2, learning_rate=3e-3, warmup_steps=2),
        batch_size=16,
        micro_batch=4,
        samples_per_epoch=32,
        valid_samples=4,
        beam=N,
        pool=TWO,
    )
    assert (small.training.zero, small.select, small.backbone.rows) == (1, "loss", "library")
    counts, said = make(small, inputs | {"instructions": place / "instructions"}, place / "model")
    assert said[-1]["loss"] < said[0]["loss"]
    assert said[-1]["valid_score"] == said[-1]["valid_loss"]
    served = Recommender.load(place / "model", inputs["codes"], inputs["catalog"], torch.device("cpu"))
    assert served.backbone.asks.next.head == "The user has interacted with items "
    assert set(counts["first_rows_cosine"]) == {"a", "b", "c"}
