"""Draws from a decoder: as often as the product of its chances at every node says."""

import pytest
import torch

from tests.backbones.models import index_of
from unisid.backbones import tiger
from unisid.decoding.sample import draw

INDEX = index_of((3, 4, 2), 14)
TINY = tiger.Config(
    width=16, num_heads=2, head_width=8, feedforward_width=16, num_encoder_layers=1, num_decoder_layers=1
)
DRAWS = 20_000


def chances(backbone, prompts, open_items):
    """Of every item: the product over levels of its code's softmax among the codes that lead to an open item."""
    codes, found = INDEX.codes.tolist(), {}
    items = torch.arange(len(codes))
    log_p = backbone.log_probs_of(prompts, items[None], INDEX)[0]
    by_prefix = {tuple(codes[i][: level + 1]): float(log_p[i, level]) for i in range(14) for level in range(3)}
    allowed = {tuple(codes[i][: level + 1]) for i in open_items for level in range(3)}
    for item in open_items:
        chance = 1.0
        for level in range(3):
            above = tuple(codes[item][:level])
            siblings = [p for p in allowed if len(p) == level + 1 and p[:level] == above]
            weights = torch.tensor([by_prefix[p] for p in siblings]).exp()
            chance *= float(weights[siblings.index(tuple(codes[item][: level + 1]))] / weights.sum())
        found[item] = chance
    return found


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    built = TINY.build(INDEX).eval()
    with torch.no_grad():
        built.t5.shared.weight.mul_(3)
    return built


@torch.no_grad()
def test_an_item_is_drawn_as_often_as_its_chance(backbone):
    history = torch.tensor([[1, 2, 3]])
    expected = chances(backbone, history, [i for i in range(14) if i not in (4, 5)])
    torch.manual_seed(1)
    prompts = INDEX.tokens(history).flatten(1)
    found = draw(backbone, prompts, INDEX.trie, k=DRAWS, excluded=torch.tensor([[4, 5]]))[0]
    counts = torch.bincount(found, minlength=14) / DRAWS
    for item in range(14):
        chance = expected.get(item, 0.0)
        assert float(counts[item]) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / DRAWS) ** 0.5 + 1e-9)


@torch.no_grad()
def test_where_nothing_may_be_answered_nothing_is(backbone):
    prompts = INDEX.tokens(torch.tensor([[1, 2], [3, 4]])).flatten(1)
    allowed = torch.stack([torch.zeros(14, dtype=torch.bool), torch.arange(14) == 9])
    assert draw(backbone, prompts, INDEX.trie, k=3, allowed=allowed).tolist() == [[-1] * 3, [9] * 3]
