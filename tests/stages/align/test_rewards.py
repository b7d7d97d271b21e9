"""Answers are valued by another trained recommender of the same index, which stays as it is."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tests.stages.test_align import CONFIG, OVER_ITEMS, SMALL, begun, make, objective_of, world  # noqa: F401, a fixture
from tests.stages.test_model import inputs  # noqa: F401, a fixture
from unisid.alignment import ipa
from unisid.artifacts.record import read_record, write_record
from unisid.artifacts.store import Place
from unisid.backbones import eager
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError
from unisid.serving.recommender import Recommender
from unisid.stages import align
from unisid.stages.extension import Base


def judge(world, place) -> Base:  # noqa: F811
    """A recommender over items, of the same index."""
    own = replace(SMALL, backbone=OVER_ITEMS["hierarchical"], training=replace(SMALL.training, epochs=1))
    return Base.of(begun(own, world, place / "judge"), "model")


def test_answers_are_judged_by_another_recommender(world, place):  # noqa: F811
    """The one that it values most is preferred, by the recommender too after some steps; the judge stays as it is."""
    torch.manual_seed(0)
    config = replace(CONFIG, objective=ipa.Config(supervised=0.0, beta=1.0), reward=judge(world, place))
    objective = objective_of(world, config)
    before = {name: tensor.clone() for name, tensor in objective.reward.backbone.state_dict().items()}
    prompts = next(objective.batches(0))
    answers = objective.answers(prompts)
    worth = Recommender.load(Place(config.reward.place), world["codes"], world["catalog"]).backbone
    with torch.no_grad():
        values = worth.log_probs_of(prompts.batch.histories, answers, objective.index).sum(2)
        asked = objective.rollout(prompts)
    assert torch.equal(asked.group.items[:, 1], answers.gather(1, values.argmax(1, keepdim=True))[:, 0])
    assert torch.equal(asked.group.items[:, 2], answers.gather(1, values.argmin(1, keepdim=True))[:, 0])
    optimizer = torch.optim.AdamW(objective.model.parameters(), lr=1e-3, weight_decay=0.0)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss, shown = objective.loss(asked)
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[-1] < losses[0]
    assert float(shown["ahead"]) > 0.7
    assert all(torch.equal(before[name], now) for name, now in objective.reward.backbone.state_dict().items())


def test_a_reward_model_is_part_of_what_is_made(world, place):  # noqa: F811
    config = replace(CONFIG, objective=ipa.Config(), reward=judge(world, place))
    source = {"address": config.reward.address, "fingerprint": config.reward.fingerprint}
    assert align.sources(config)["reward"] == source
    make(replace(config, training=replace(CONFIG.training, epochs=1)), world, place / "model")
    assert "reward" not in to_record(CONFIG, identity=True)


def test_a_reward_model_of_another_index_is_refused(world, place):  # noqa: F811
    found = judge(world, place)
    record = read_record(Place(found.place))
    write_record(
        Place(found.place), replace(record, inputs={"codes": {"address": "codes/x/1", "fingerprint": "f" * 64}})
    )
    with pytest.raises(ArtifactError, match=r"align\.reward: .*was trained on the codes codes/x/1"):
        make(
            replace(CONFIG, objective=ipa.Config(), reward=Base.of(Place(found.place), "model")), world, place / "model"
        )


def test_a_reward_model_without_a_likelihood_of_items_is_refused(world, place):  # noqa: F811
    found = judge(world, place)
    where = Place(found.place)
    where.write("backbone.json", json.dumps(to_record(eager.Config())).encode())
    record = read_record(where)
    write_record(where, replace(record, files={}))
    with pytest.raises(ConfigError, match=r"align\.reward: .* ranks by two streams merged"):
        make(replace(CONFIG, objective=ipa.Config(), reward=Base.of(where, "model")), world, place / "model")
