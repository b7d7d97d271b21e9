import dataclasses

import pytest
import torch
from torch.nn import functional

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines import sasrec
from unisid.baselines.parts.learned import PAD, Windows, next_item_loss
from unisid.baselines.s3rec import Config, S3Rec
from unisid.config import ConfigError

WORDS = (torch.rand(15, 7, generator=torch.Generator().manual_seed(3)) < 0.4).float()
SMALL = {"width": 8, "num_heads": 2, "num_layers": 1, "feedforward_width": 8, "dropout": 0.0}
ALONE = {"attribute_weight": 0.0, "hidden_weight": 0.0, "hidden_attribute_weight": 0.0, "segment_weight": 0.0}
WINDOWS = Windows(torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, PAD, PAD, PAD, PAD]]), torch.tensor([0, 1]), seed=5)


def build(**changes):
    torch.manual_seed(0)
    return S3Rec(Config(**{**SMALL, **changes}), WORDS, max_length=5)


def test_it_reads_forward_and_in_order():
    model = build()
    reads_forward(model.states)
    order_matters(model.states)


def test_without_the_other_tasks_it_is_sasrec():
    model, plain = build(**ALONE), sasrec.SasRec(sasrec.Config(**SMALL), 15, 6)
    ours = model.state_dict()
    renamed = {name: ours[name][:15] if name == "items.weight" else ours[name] for name in plain.state_dict()}
    plain.load_state_dict(renamed)
    torch.testing.assert_close(model.loss(WINDOWS), plain.loss(WINDOWS))
    torch.testing.assert_close(model.states(WINDOWS.items, WINDOWS.users), plain.states(WINDOWS.items, WINDOWS.users))


def test_the_loss_is_the_weighted_sum_of_the_tasks():
    model = build()
    forward = next_item_loss(model.states, model.items.weight[:-1], WINDOWS, "ce", 1)
    whole = forward + 0.2 * model.attribute_loss(WINDOWS) + model.hidden_loss(WINDOWS)
    torch.testing.assert_close(model.loss(WINDOWS), whole + 0.5 * model.segment_loss(WINDOWS))


def test_attributes_are_predicted_of_every_item():
    model = build()
    expected = sum(
        functional.binary_cross_entropy_with_logits(
            model.words.weight @ model.of_item(model.items.weight[item]), WORDS[item], reduction="sum"
        )
        for row in WINDOWS.items.tolist()
        for item in row
        if item != PAD
    )
    torch.testing.assert_close(model.attribute_loss(WINDOWS), expected)


def test_a_hidden_item_is_not_seen_and_both_sides_are():
    model = build(gaps=0.5)
    gaps = model.hide(WINDOWS)
    assert gaps.any()
    assert not gaps[1, 2:].any()
    row = torch.tensor([[3, model.gap, 4]])
    states = model.around(row)
    assert not torch.allclose(states[0, 1], model.around(torch.tensor([[3, model.gap, 7]]))[0, 1])
    assert not torch.allclose(states[0, 1], model.around(torch.tensor([[8, model.gap, 4]]))[0, 1])
    padded = model.around(torch.tensor([[3, model.gap, 4, PAD]]))
    torch.testing.assert_close(padded[:, :3], states)


def test_segments_are_stretches_of_at_most_half_a_row():
    items = torch.arange(12).expand(200, -1).clone()
    items[100:, 3:] = PAD
    inside = build().segment(Windows(items, torch.zeros(200, dtype=torch.long), seed=1))
    lengths = inside.sum(1)
    assert lengths[:100].unique().tolist() == [1, 2, 3, 4, 5, 6]
    assert lengths[100:].unique().tolist() == [1]
    assert not inside[100:, 3:].any()
    assert ((inside[:, 1:] != inside[:, :-1]).sum(1) <= 2).all()
    assert inside[:100].any(0).all()


def test_a_segment_of_its_own_row_is_to_be_nearer():
    """Equal segments leave log 2 a row."""
    model = build(**ALONE)
    with torch.no_grad():
        model.of_segment.weight.zero_()
    assert model.segment_loss(WINDOWS).item() == pytest.approx(2 * torch.log(torch.tensor(2.0)).item())


def test_refuses_settings():
    with pytest.raises(ConfigError, match="s3rec: width 9 over 2 heads; must divide evenly"):
        Config(width=9)
    with pytest.raises(ConfigError, match="s3rec.gaps: is 1.0; must be above 0 and below 1"):
        dataclasses.replace(Config(), gaps=1.0)
