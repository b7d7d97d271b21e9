"""DIN's scores, pair by pair."""

import torch
from torch.nn import functional

from unisid.layers.interest import Interest, stretches

D, T = 5, 6


def net() -> Interest:
    torch.manual_seed(0)
    made = Interest(D, T, 0.0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def plainly(made: Interest, history: torch.Tensor, real: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """The score of one candidate: every pair as [y, h, y - h, y * h], every stretch by itself."""
    sums = [torch.zeros(D) for _ in range(made.num_stretches)]
    by_item, by_candidate = made.of_item.weight, made.of_candidate.weight
    # any split of the weight of y - h among the two others is the same map
    joined = torch.cat([by_candidate, by_item, torch.zeros_like(by_item), made.of_product.T], 1)
    for age, (item, there) in enumerate(zip(history, real, strict=True)):
        pair = torch.cat([candidate, item, candidate - item, candidate * item])
        if there:
            stretch = int(stretches(T)[age])
            sums[stretch] = sums[stretch] + made.weigh(joined @ pair + made.of_candidate.bias)[0] * item
    return made.score(torch.cat([*sums, candidate]))[0]


def test_scores_are_those_of_pair_after_pair() -> None:
    made, history, candidates = net(), torch.randn(3, T, D), torch.randn(3, 2, D)
    real = torch.arange(T) < torch.tensor([[6], [2], [1]])
    found = made(history, real, candidates)
    for row in range(3):
        for place in range(2):
            expected = plainly(made, history[row], real[row], candidates[row, place])
            assert torch.allclose(found[row, place], expected, atol=1e-4)


def test_candidates_that_all_share_are_scored_as_each_ones_own() -> None:
    made, history, shared = net(), torch.randn(3, T, D), torch.randn(1, 4, D)
    real = torch.ones(3, T, dtype=torch.bool)
    assert torch.allclose(made(history, real, shared), made(history, real, shared.expand(3, -1, -1)), atol=1e-5)


def test_what_is_not_real_changes_nothing() -> None:
    made, history, candidates = net(), torch.randn(2, T, D), torch.randn(2, 3, D)
    real = torch.arange(T) < torch.tensor([[4], [1]])
    other = torch.where(real[..., None], history, torch.randn(2, T, D))
    assert torch.equal(made(history, real, candidates), made(other, real, candidates))
    assert torch.allclose(made(history[:, :4], real[:, :4], candidates), made(history, real, candidates), atol=1e-5)


def test_the_latest_items_stand_alone_and_older_ones_together() -> None:
    assert stretches(20).tolist() == [0, 1, 2, 3, 3, 4, 4, 5, 5, *[6] * 10, 7]
    assert stretches(2).tolist() == [0, 1]
    assert stretches(72).tolist()[-4:] == [9] * 4


def test_the_weights_of_a_history_are_no_shares() -> None:
    """An item twice counts twice, where both lie in one stretch."""
    made = net()
    one = torch.randn(1, 1, D)
    history = torch.cat([torch.zeros(1, 3, D), one, one], 1)
    real = torch.tensor([[False, False, False, True, True]])
    pooled = []
    made.score.register_forward_pre_hook(lambda module, given: pooled.append(given[0]))
    made(history, real, torch.randn(1, 1, D))
    made(history[:, :4], real[:, :4], torch.randn(1, 1, D))
    twice, once = (each[0, 0, 3 * D : 4 * D] for each in pooled)
    assert functional.cosine_similarity(twice, once, dim=0).abs().item() > 0.999
