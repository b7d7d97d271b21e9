"""UNGER's laws: the alignment, what moves which weights, and which vector is an item's."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from tests.fusion.test_contract import awake, following, items
from unisid.config import to_record
from unisid.errors import ConfigError
from unisid.fusion import PAD, Items
from unisid.fusion.unger import Config, Unger
from unisid.ops.contrast import paired_info_nce
from unisid.ops.next_item import softmax_loss

WIDTHS = {"text": 12, "graph": 6, "image": 5, "abstract": 12}
STEP = ([[0, 3, 1], [2, 0, PAD], [4, 3, 0]], [[3, 1, 2], [0, 5, PAD], [3, PAD, 3]])


def made(**settings: object) -> Unger:
    torch.manual_seed(0)
    shape = {"width": 8, "num_heads": 2, "feedforward_width": 10, "dropout": 0.0} | settings
    fusion = Config(**shape).build(WIDTHS)
    fusion.begin(torch.ones(6, dtype=torch.bool), 4)
    awake(fusion)
    return fusion.eval()


def by_samples(anchors: torch.Tensor, candidates: torch.Tensor, which: torch.Tensor, temperature: float) -> float:
    """The loss over samples that have items, further copies of the anchor's item left out of the sum."""
    total = 0.0
    for place, item in enumerate(which.tolist()):
        scores = functional.cosine_similarity(anchors[item], candidates[which], dim=-1) / temperature
        kept = [s for other, s in enumerate(scores) if other == place or int(which[other]) != item]
        total += float(torch.stack(kept).logsumexp(0) - scores[place])
    return total


def test_distinct_items_with_counts_are_the_samples_with_copies_left_out() -> None:
    which = torch.tensor([2, 0, 2, 1, 2, 0])
    anchors, candidates = torch.randn(3, 4), torch.randn(3, 4)
    counts = torch.tensor([2, 1, 3])
    found = paired_info_nce(anchors, candidates, counts, counts, 0.3)
    assert found.item() == pytest.approx(by_samples(anchors, candidates, which, 0.3), rel=1e-5)


def test_the_alignment_is_log_b_where_all_are_alike_and_falls_to_its_floor() -> None:
    ones, twins = torch.ones(5, dtype=torch.long), torch.eye(5)
    alike = paired_info_nce(torch.ones(5, 3), torch.ones(5, 3), ones, ones, 0.1)
    assert alike.item() / 5 == pytest.approx(math.log(5), rel=1e-5)
    apart = paired_info_nce(twins, 3 * twins, ones, ones, 0.1)
    assert apart.item() / 5 == pytest.approx(math.log(1 + 4 * math.exp(-10)), rel=1e-2)


@pytest.mark.parametrize("sequence", ["transformer", "din"])
def test_without_alignment_no_text_is_learned_from(sequence: str) -> None:
    fusion = made(alpha=0.0, sequence=sequence)
    loss = fusion.loss(following(*STEP))
    assert set(loss) == {"loss", "next"}
    loss["loss"].backward()
    assert fusion.adapt.weight.grad is None
    assert all(parameter.grad is None for parameter in fusion.norm.parameters())
    assert fusion.items is not None
    assert fusion.items.grad is not None


@pytest.mark.parametrize("sequence", ["transformer", "din"])
def test_alpha_weighs_the_alignment(sequence: str) -> None:
    fusion = made(alpha=0.25, sequence=sequence)
    parts = fusion.loss(following(*STEP))
    assert parts["loss"].item() == pytest.approx((parts["next"] + 0.25 * parts["alignment"]).item(), rel=1e-6)
    parts["alignment"].backward()
    assert fusion.adapt.weight.grad is not None  # it moves both kinds of vectors
    assert fusion.items is not None
    assert fusion.items.grad is not None


@pytest.mark.parametrize("sequence", ["transformer", "din"])
def test_the_next_items_are_told_by_those_before_alone(sequence: str) -> None:
    """A later item changes no earlier place's loss."""
    fusion = made(sequence=sequence)

    def of_first(read: list[list[int]]) -> float:
        batch = following([read[0]], [[5, PAD, PAD]])
        return fusion.next_loss(batch).item()

    assert of_first([[0, 3, 1]]) == pytest.approx(of_first([[0, 2, 4]]), rel=1e-5)
    assert of_first([[0, 3, 1]]) != pytest.approx(of_first([[1, 3, 1]]), rel=1e-5)


def test_the_transformers_loss_is_the_softmax_over_all_items() -> None:
    fusion = made()
    batch = following(*STEP)
    assert fusion.items is not None
    assert fusion.sequence is not None
    states = fusion.sequence(fusion.items[batch.read.clamp(min=0)])
    expected = sum(
        softmax_loss(states[row, place][None], fusion.items, batch.targets[row, place][None])
        for row, place in (batch.targets != PAD).nonzero().tolist()
    )
    assert fusion.next_loss(batch).item() == pytest.approx(torch.as_tensor(expected).item(), rel=1e-5)


def test_equal_scores_have_the_loss_of_chance() -> None:
    fusion = made()
    assert fusion.items is not None
    batch = following(*STEP)
    with torch.no_grad():
        fusion.items.fill_(1.0)
        found, expected = fusion.loss(batch), fusion.chance(batch)
    assert found["next"].item() == pytest.approx(expected["next"].item(), rel=1e-5)
    nothing = torch.ones(len(batch.counts), 3)
    flat = paired_info_nce(nothing, nothing, batch.counts, batch.own, 1.0)
    assert flat.item() == pytest.approx(expected["alignment"].item(), rel=1e-5)


@torch.no_grad()
def test_an_items_vector_is_what_was_learned_of_it_or_what_its_text_says() -> None:
    shown, _ = items([3, 1, 5, 2])
    further = {"image": shown["graph"], "abstract": shown["text"]}
    widths = {"text": 12, "graph": 6, "image": 6, "abstract": 12}
    torch.manual_seed(0)
    fusion = Config(width=8).build(widths).eval()
    fusion.begin(torch.tensor([True, True, False]), 4)
    awake(fusion)
    assert fusion.items is not None
    seen = Items({**shown.modalities, **further}, torch.tensor([1, 2, 0, 3]))  # 2 was not learned, 3 came later
    own, texts = functional.normalize(fusion.items, dim=-1), fusion.adapted(seen)
    assert torch.allclose(fusion(seen), torch.stack([own[1], texts[1], own[0], texts[3]]))
    fusion.config = Config(width=8, vector="mean")
    assert torch.allclose(fusion(seen)[0], functional.normalize(own[1] + texts[0], dim=-1), atol=1e-6)
    assert torch.allclose(fusion(seen)[1], texts[1], atol=1e-6)


@torch.no_grad()
def test_joined_vectors_are_both_side_by_side() -> None:
    seen, _ = items([3, 1, 5, 2])
    fusion = Config(width=8, vector="joined").build({"text": 12, "graph": 6})
    fusion.begin(torch.tensor([True, True, False]), 4)
    numbered = Items(seen.modalities, torch.tensor([1, 2, 0, 3]))
    found = fusion(numbered)
    assert found.shape == (4, fusion.width) == (4, 20)
    assert torch.allclose(found[:, 8:], functional.normalize(seen["text"].mean(), dim=-1))
    assert found[1, :8].abs().max() == found[3, :8].abs().max() == 0
    assert torch.allclose(found[0, :8].norm(), torch.ones(()))


def test_draws_of_every_item_once_make_the_softmax_over_all() -> None:
    batch = following(*STEP)
    every = dataclasses.replace(batch, draws=(torch.arange(6) + 0.5) / 6)
    sampled = made(loss="sampled")
    assert sampled.next_loss(every).item() == pytest.approx(made().next_loss(batch).item(), rel=1e-5)
    assert sampled.num_negatives == 60


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="unger: width 10 does not divide into 4 heads"):
        Config(width=10, num_heads=4)
    with pytest.raises(ConfigError, match="unger.temperature: is 0"):
        Config(temperature=0.0)
    assert to_record(Config())["width"] == 96
