"""A trained recommender learns from its own answers: an ordinary model comes out, and what cannot work is refused."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.legends import without_words
from tests.stages import ring
from tests.stages.test_model import CONFIG as TIGER
from tests.stages.test_model import N, inputs, weights  # noqa: F401, `inputs` is a fixture
from unisid.alignment import beam_contrast, grpo, ipa, sdpo, sft
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.backbones import eager, hierarchical, parallel
from unisid.compute import Pool, Task
from unisid.errors import ArtifactError, ConfigError
from unisid.legend import NDCG
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import align, model
from unisid.stages.align import START, Aligned
from unisid.stages.extension import Base
from unisid.training.loop import Training

HERE = Pool(workers=0)
SMALL = replace(
    TIGER, training=replace(TIGER.training, epochs=4), samples_per_epoch=512, valid_samples=20, beam=10, pool=HERE
)
OVER_ITEMS = {
    "hierarchical": hierarchical.Config(width=16, feedforward_width=16, content=(), dense=False, memory=None),
    "parallel": parallel.Config(width=16, feedforward_width=16, memory=None),
}
CONFIG = align.Config(
    objective=grpo.Config(),
    answers=8,
    batch_size=64,
    prompts_per_epoch=128,
    training=Training(epochs=3, learning_rate=1e-3, gradient_clip=0.3, checkpoint_seconds=0.0),
    recommender=SMALL,
    pool=HERE,
)


def begun(config, inputs, out) -> Place:  # noqa: F811
    counts = model.make(ring.job(config, inputs, out, LocalCompute()))
    ring.record(out, "model", {}, counts, ring.entry(inputs["codes"], "codes"))
    return out


@pytest.fixture(scope="module")
def world(inputs, tmp_path_factory):  # noqa: F811
    """All that the stage reads, with a TIGER that has begun to learn."""
    out = Place.of(tmp_path_factory.mktemp("first") / "model")
    return {**inputs, START: begun(SMALL, inputs, out)}


def make(config, world, out, said=None, judged=None):
    counts = align.make(ring.job(config, world, out, LocalCompute(), said, judged))
    ring.record(out, "model", {}, counts, ring.entry(world["codes"], "codes"))
    return counts


def epochs(said):
    return [values for values in said if isinstance(values, dict)]


def test_what_comes_out_is_an_ordinary_model(world, place):
    said: list = []
    judged: list = []
    counts = make(CONFIG, world, place / "model", said, judged)
    assert judged == [NDCG]
    assert without_words("model", said) == set()
    first, *others = epochs(said)
    assert first["epoch"] == 0
    assert all(0 <= each["hit_groups"] <= 1 for each in others)
    assert others[-1]["kl"] > 0
    assert counts["valid_ndcg_10"] >= first["valid_score"]
    assert counts["prompts"] == 3 * 128
    assert counts["precision"] == "float32"
    assert mean_log_p(world, place / "model") != mean_log_p(world, world[START])
    recommender = Recommender.load(place / "model", world["codes"], world["catalog"])
    items, _ = recommender.rank([np.array([3, 4, 5, 6])], 5)
    assert items.shape == (1, 5)


@pytest.mark.parametrize("objective", [sdpo.Config(), beam_contrast.Config(), sft.Config(), grpo.Config(beta=0.0)])
def test_every_objective_goes_through(world, place, objective):
    config = replace(CONFIG, objective=objective, training=replace(CONFIG.training, epochs=1), keeps_start=False)
    said: list = []
    make(config, world, place / objective.kind, said)
    assert without_words("model", said) == set()
    assert all(math.isfinite(value) for value in epochs(said)[-1].values())
    before, after = weights(world[START]), weights(place / objective.kind)
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("rollout", ["beam", "sample"])
def test_what_is_rewarded_is_answered_more(world, rollout):
    """Ten steps on the same prompts, each with answers of its own."""
    torch.manual_seed(0)
    objective = objective_of(world, replace(CONFIG, rollout=rollout))
    prompts = next(objective.batches(0))
    optimizer = torch.optim.AdamW(objective.model.parameters(), lr=1e-3, weight_decay=0.0)
    rewards = []
    for _ in range(10):
        with torch.no_grad():
            asked = objective.rollout(prompts)
        rewards.append(float(asked.shown["reward"]))
        optimizer.zero_grad()
        objective.loss(asked)[0].backward()
        optimizer.step()
    assert sum(rewards[-3:]) > sum(rewards[:3])


def mean_log_p(world, at) -> float:
    recommender = Recommender.load(at, world["codes"], world["catalog"])
    prompts = align.TrainingRows(Catalog.read(world["catalog"]), align.Sequences.read(world["sequences"]), 42)
    batch = prompts.batch(prompts.rows[:200])
    with torch.no_grad():
        return float(recommender.backbone.log_probs(batch.histories, batch.targets, recommender.index).sum(1).mean())


@pytest.mark.parametrize(("kind", "rollout"), [("hierarchical", "beam"), ("parallel", "sample")])
def test_recommenders_over_items_learn_too(world, place, kind, rollout):
    own = replace(SMALL, backbone=OVER_ITEMS[kind], training=replace(SMALL.training, epochs=1))
    there = world | {START: begun(own, world, place / "first")}
    config = replace(CONFIG, recommender=own, rollout=rollout, training=replace(CONFIG.training, epochs=1))
    before = mean_log_p(there, there[START])
    make(replace(config, keeps_start=False), there, place / "model")
    assert mean_log_p(there, place / "model") != before


def test_at_a_rate_of_nothing_nothing_changes(world, place):
    config = replace(CONFIG, training=replace(CONFIG.training, learning_rate=1e-30, epochs=1), keeps_start=False)
    said: list = []
    make(config, world, place / "model", said)
    assert epochs(said)[-1]["kl"] == pytest.approx(0, abs=1e-9)
    before, after = weights(world[START]), weights(place / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_only_harms_leaves_the_weights_as_they_were(world, place):
    config = replace(CONFIG, training=replace(CONFIG.training, learning_rate=1.0, epochs=1))
    assert make(config, world, place / "model")["best_epoch"] == 0
    before, after = weights(world[START]), weights(place / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)


class Alone:
    """One worker without machines."""

    rank, size, device = 0, 1, torch.device("cpu")


def objective_of(world, config):
    task = Task(config, world, world["catalog"])
    catalog = Catalog.read(world["catalog"])
    index = model.index_of(world, config.recommender.backbone, catalog)
    backbone = config.recommender.backbone.build(index)
    backbone.load(weights(world[START]), index)
    return Aligned(Alone(), task, catalog, index, backbone)


def test_what_answers_is_what_learns(world):
    """Dropout would make two models of them: log p of the beams, made anew for the loss, is the search's score."""
    dropped = replace(SMALL, backbone=replace(SMALL.backbone, dropout=0.5))
    objective = objective_of(world, replace(CONFIG, recommender=dropped))
    objective.model.train()
    asked = objective.rollout(next(objective.batches(0)))
    loss, shown = objective.loss(asked)
    assert float(shown["kl"]) == pytest.approx(0, abs=1e-9)
    assert loss.requires_grad
    scores = objective.backbone.likeliest(
        asked.batch.histories, objective.index, k=8, limits=align.Limits(excluded=asked.excluded)
    ).scores
    log_p = objective.backbone.log_probs_of(asked.batch.histories, asked.group.items, objective.index)
    assert torch.allclose(log_p.sum(2)[asked.group.real], scores[asked.group.real], atol=1e-4)


def test_beams_are_distinct_items_that_were_not_taken(world):
    objective = objective_of(world, CONFIG)
    asked = objective.rollout(next(objective.batches(0)))
    for row, past in zip(asked.group.items.tolist(), asked.excluded.tolist(), strict=True):
        assert len(set(row)) == 8
        assert not set(row) & set(past)
    allowed = replace(CONFIG, recommender=replace(SMALL, valid_history="allowed"))
    assert objective_of(world, allowed).prompted(objective.prompts.rows[:4]).excluded is None


def test_prompts_without_a_signal_are_passed_over_at_no_loss_of_gradient(world):
    gradients = []
    for monitor in (False, True):
        objective = objective_of(world, replace(CONFIG, objective=grpo.Config(beta=0.0, monitor=monitor)))
        asked = objective.rollout(next(objective.batches(0)))
        assert (asked.group.useful is None) == monitor
        objective.loss(asked)[0].backward()
        gradients.append({name: weight.grad for name, weight in objective.model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_micro_batches_change_nothing_that_is_learned(world, place):
    config = replace(CONFIG, training=replace(CONFIG.training, epochs=1), keeps_start=False)
    make(config, world, place / "whole")
    make(replace(config, micro_batch=16), world, place / "cut")
    for name, tensor in weights(place / "whole").items():
        assert torch.allclose(tensor, weights(place / "cut")[name], atol=1e-5), name


@pytest.mark.slow
def test_two_workers_learn_what_one_does(world, place):
    config = replace(CONFIG, training=replace(CONFIG.training, epochs=1), keeps_start=False)
    make(config, world, place / "one")
    make(replace(config, pool=Pool(workers=2)), world, place / "two")
    for name, tensor in weights(place / "one").items():
        assert torch.allclose(tensor, weights(place / "two")[name], atol=1e-5), name


@pytest.mark.parametrize("rollout", ["beam", "sample"])
def test_a_killed_fit_goes_on_to_the_same_bytes(world, place, rollout):
    config = replace(CONFIG, rollout=rollout, prompts_per_epoch=64, keeps_start=False)
    make(config, world, place / "undisturbed")

    class StruckError(Exception):
        pass

    def strike(values):
        if values["epoch"] == 1:
            raise StruckError

    job = ring.job(config, world, place / "struck", LocalCompute())
    with pytest.raises(StruckError):
        align.make(dataclasses.replace(job, report=strike))
    said: list = []
    make(config, world, place / "struck", said)
    assert [values["epoch"] for values in epochs(said)] == [2, 3]
    for name, tensor in weights(place / "undisturbed").items():
        assert torch.equal(tensor, weights(place / "struck")[name]), name


def test_a_model_by_its_address_is_gone_on_from(world, place):
    start = Base.of(world[START], "model")
    config = replace(CONFIG, starts_from=start, training=replace(CONFIG.training, epochs=1))
    assert START not in align.inputs(config)
    assert START in align.inputs(CONFIG)
    assert align.sources(config) == {"start": {"address": start.address, "fingerprint": start.fingerprint}}
    given = {noun: at for noun, at in world.items() if noun != START}
    make(config, given, place / "by-address")
    make(replace(config, starts_from=None), world, place / "by-role")
    for name, tensor in weights(place / "by-role").items():
        assert torch.equal(tensor, weights(place / "by-address")[name]), name
    other = replace(SMALL, backbone=replace(SMALL.backbone, width=32))
    with pytest.raises(ConfigError, match="another backbone"):
        make(replace(config, recommender=other), given, place / "other")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": 1}, "align.answers: is 1; must be at least 2"),
        ({"batch_size": 65, "pool": Pool(workers=2)}, "align: batch_size 65 over 2 workers; must divide evenly"),
        ({"micro_batch": 24}, "align: micro_batch 24 does not divide the 64 prompts .* 8 would"),
        ({"objective": ipa.Config()}, "align.reward: 'ipa' prefers answers by a reward model, and there is none"),
        ({"reward": Base.parse("model/x/1")}, "align.reward: 'grpo' reads no reward model; leave it out"),
        ({"rollout": "greedy"}, "align.rollout: is 'greedy'; must be one of beam, sample"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"answers": N + 1}, ConfigError, f"align.answers: is {N + 1}, the catalog has {N} items; must be at most {N}"),
        ({"batch_size": 100_000}, ConfigError, r"align.batch_size: is 100000, there are \d+ training prompts"),
        (
            {"objective": grpo.Config(prefix=0.1, prefix_by_depth=(1.0,))},
            ConfigError,
            "prefix_by_depth: has 1 values, semantic ids have 3 levels",
        ),
        ({"recommender": replace(SMALL, backbone=eager.Config())}, ConfigError, "align: 'eager' ranks by two streams"),
    ],
    ids=["answers", "batch", "depths", "eager"],
)
def test_what_cannot_work_is_refused_before_anything_trains(world, place, settings, error, message):
    class Never(LocalCompute):
        def fit(self, *args, **kwargs):
            raise AssertionError

    with pytest.raises(error, match=message):
        align.make(ring.job(replace(CONFIG, **settings), world, place / "model", Never()))


def test_weights_of_another_backbone_are_refused(world, place):
    other = replace(SMALL, backbone=OVER_ITEMS["parallel"])
    with pytest.raises(ArtifactError, match="weights of the backbone"):
        make(replace(CONFIG, recommender=other), world, place / "model")


def test_the_control_asks_nothing(world):
    objective = objective_of(world, replace(CONFIG, objective=sft.Config()))
    asked = objective.rollout(next(objective.batches(0)))
    assert torch.equal(asked.group.items[:, 0], asked.batch.targets)
    assert math.isfinite(objective.loss(asked)[0].item())
