"""Losses over answers: values and gradients beside their plain form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import align as reference
from unisid.ops.preference import contrast, divergence, group_loss, softmax_preference

B, G, L = 3, 4, 2
REAL = torch.ones(B, G, dtype=torch.bool)
SEEDS = st.integers(0, 1000)


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(SEEDS)
def test_group_loss_has_the_gradient_of_log_p_times_credit(seed):
    """At the ratio of 1: -mean over answers of A_i mean over tokens of log p."""
    log_p, credit = drawn(seed, B, G, L).requires_grad_(), drawn(seed + 1, B, G, L)
    losses = group_loss(log_p, credit, REAL)
    plain = [reference.group_loss(log_p[b].tolist(), credit[b].tolist()) for b in range(B)]
    assert losses.tolist() == pytest.approx(plain, abs=1e-5)
    (ours,) = torch.autograd.grad(losses.sum(), log_p)
    assert torch.allclose(ours, -credit / (G * L), atol=1e-6)


@given(SEEDS)
def test_the_divergence_is_the_plain_one_and_never_below_nothing(seed):
    log_p, before = drawn(seed, B, G, L), drawn(seed + 1, B, G, L)
    found = divergence(log_p, before, REAL, 2.0)
    plain = [reference.divergence(log_p[b].tolist(), before[b].tolist(), 2.0) for b in range(B)]
    assert found.tolist() == pytest.approx(plain, abs=1e-5)
    assert (found >= 0).all()


def test_at_the_start_there_is_no_divergence_and_it_has_no_gradient():
    log_p = drawn(0, B, G, L).requires_grad_()
    found = divergence(log_p, log_p.detach(), REAL, 10.0)
    (gradient,) = torch.autograd.grad(found.sum(), log_p)
    assert found.abs().max() == 0
    assert gradient.abs().max() == 0


def test_a_divergence_above_the_most_has_no_gradient():
    log_p = torch.full((1, 1, 1), -9.0).requires_grad_()
    found = divergence(log_p, torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), 10.0)
    (gradient,) = torch.autograd.grad(found.sum(), log_p)
    assert (found.item(), gradient.item()) == (10.0, 0.0)


@given(SEEDS, st.sampled_from([0.1, 1.0]))
def test_softmax_preference_is_the_plain_one_and_dpo_for_one_wrong_answer(seed, beta):
    now, before = drawn(seed, B, 1 + G), drawn(seed + 1, B, 1 + G)
    real = torch.ones(B, 1 + G, dtype=torch.bool)
    found = softmax_preference(now, before, real, beta)
    plain = [reference.softmax_dpo(now[b].tolist(), before[b].tolist(), beta) for b in range(B)]
    assert found.tolist() == pytest.approx(plain, abs=1e-5)
    one = softmax_preference(now[:, :2], before[:, :2], real[:, :2], beta)
    pairs = [reference.dpo(*now[b, :2].tolist(), *before[b, :2].tolist(), beta) for b in range(B)]
    assert one.tolist() == pytest.approx(pairs, abs=1e-5)


@pytest.mark.parametrize("wrong", [1, 3, 15])
def test_softmax_preference_begins_at_the_log_of_all_candidates(wrong):
    now = drawn(0, 1, 1 + wrong)
    found = softmax_preference(now, now, torch.ones(1, 1 + wrong, dtype=torch.bool), 0.1)
    assert found.item() == pytest.approx(math.log(1 + wrong), abs=1e-5)


@settings(max_examples=20)
@given(SEEDS)
def test_losses_do_not_depend_on_the_order_of_the_wrong_answers(seed):
    now, before = drawn(seed, B, 1 + G), drawn(seed + 1, B, 1 + G)
    real = torch.ones(B, 1 + G, dtype=torch.bool)
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(G)])
    pairs = [
        (softmax_preference(now, before, real, 0.5), softmax_preference(now[:, order], before[:, order], real, 0.5)),
        (contrast(now, real, 0.7), contrast(now[:, order], real, 0.7)),
    ]
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)


@given(SEEDS)
def test_contrast_is_the_plain_one_and_nothing_for_the_target_alone(seed):
    log_p = drawn(seed, B, 1 + G)
    real = torch.ones(B, 1 + G, dtype=torch.bool)
    plain = [reference.contrast(log_p[b].tolist(), 0.7) for b in range(B)]
    assert contrast(log_p, real, 0.7).tolist() == pytest.approx(plain, abs=1e-5)
    alone = real.clone()
    alone[:, 1:] = False
    assert contrast(log_p, alone, 0.7).abs().max() == 0


def test_a_prompt_without_a_wrong_answer_has_neither_loss_nor_gradient():
    now = drawn(0, 2, 3).requires_grad_()
    real = torch.tensor([[True, False, False], [True, True, True]])
    found = softmax_preference(now, torch.zeros(2, 3), real, 0.5)
    (gradient,) = torch.autograd.grad(found.sum(), now)
    assert found[0] == 0
    assert (gradient[0] == 0).all()
    assert gradient[1].abs().min() > 0
