import numpy as np
import pytest
import torch

from unisid.baselines import Histories
from unisid.baselines.bert4rec import Bert4Rec, Config
from unisid.baselines.parts.learned import PAD, Windows
from unisid.config import ConfigError

SMALL = {"width": 8, "num_heads": 2, "feedforward_width": 8, "dropout": 0.0}


def build(**changes):
    torch.manual_seed(0)
    return Bert4Rec(Config(**{**SMALL, **changes}), num_items=15, max_length=6)


def windows(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    items = torch.from_numpy(rng.integers(0, 15, (rows, 5)))
    lengths = torch.from_numpy(rng.integers(2, 6, rows))
    return Windows(torch.where(torch.arange(5) < lengths[:, None], items, PAD), torch.arange(rows), seed=seed)


def test_gaps_are_real_items_about_as_many_as_asked_for():
    model, shown = build(gaps=0.3), windows()
    gaps, real = model.hide(shown), shown.items != PAD
    assert gaps.any(1).all()
    assert not (gaps & ~real).any()
    alone = gaps.sum(1) == 1
    by_chance = int(gaps.sum()) - int((alone & gaps[torch.arange(200), real.sum(1) - 1]).sum())
    assert 0.15 < by_chance / int(real.sum()) < 0.45
    assert model.count(shown) == int(gaps.sum())
    assert torch.equal(model.hide(shown), gaps)
    assert not torch.equal(model.hide(windows(seed=1)), gaps)


def test_where_chance_leaves_all_the_last_is_hidden():
    model, shown = build(gaps=1e-12), windows(20)
    last = (shown.items != PAD).sum(1) - 1
    assert model.hide(shown).nonzero()[:, 1].tolist() == last.tolist()


def test_a_gap_never_shows_what_it_hides():
    """Other items under the same gaps: the model is given the same, and the loss is of the other items."""
    model, shown = build(), windows()
    gaps = model.hide(shown)
    other = torch.where(gaps, (shown.items + 1) % 15, shown.items)
    changed = Windows(other, shown.users, seed=shown.seed)
    given = []
    model.blocks[0].register_forward_pre_hook(lambda _, arguments: given.append(arguments[0].detach()))
    assert model.loss(shown).item() != model.loss(changed).item()
    assert torch.equal(*given)


def test_both_sides_of_a_gap_are_seen_and_padding_is_not():
    model = build()
    row = torch.tensor([[1, 2, model.gap, 4, 5]])
    state = model.states(row)[0, 2]
    for place in (0, 1, 3, 4):
        changed = row.clone()
        changed[0, place] = 9
        assert (model.states(changed)[0, 2] - state).abs().max() > 1e-6
    padded = torch.cat([row, torch.tensor([[PAD]])], 1)
    torch.testing.assert_close(model.states(padded)[0, 2], state)


def test_the_next_item_is_a_gap_at_the_end():
    model = build().eval()
    histories = [[3, 4, 5, 6, 7], [9]]
    joined = Histories(np.concatenate(histories).astype(np.int64), np.array([len(h) for h in histories]))
    for scores, history in zip(model.scores(joined), histories, strict=True):
        state = model.states(torch.tensor([[*history, model.gap]]))[0, -1]
        torch.testing.assert_close(scores, model.items.weight[:15] @ state, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 9}, "width 9 over 2 heads; must divide evenly"),
        ({"gaps": 0.0}, "bert4rec.gaps: is 0.0; must be above 0 and below 1"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
