"""Weights of parts by how well known the latest item is: z by hand, weights of a row, models from before z."""

import math

import pytest
import torch

from unisid.layers.part_weights import FARTHEST, PartWeights, with_weights

COUNTS = torch.tensor([0.0, 1.0, 3.0, 16.0])
PAD = -1


def moments():
    known = [math.log1p(n) for n in COUNTS.tolist()]
    share = [n / 20 for n in COUNTS.tolist()]
    mean = sum(k * s for k, s in zip(known, share, strict=True))
    return known, mean, math.sqrt(sum(s * (k - mean) ** 2 for k, s in zip(known, share, strict=True)))


def test_z_is_the_standardised_logarithm_of_how_often_the_latest_item_was_taken():
    weights = PartWeights([1.0, 0.5])
    weights.count(COUNTS)
    known, mean, deviation = moments()
    before = torch.tensor([[1, 3], [2, PAD], [3, 0], [0, 3], [PAD, PAD]])
    expected = [(known[item] - mean) / deviation for item in (1, 2, 3, 0, 0)]
    found = weights.z(before, COUNTS)
    assert found.tolist() == pytest.approx([max(-FARTHEST, min(FARTHEST, z)) for z in expected], abs=1e-5)
    assert found[3] == -FARTHEST


def test_a_row_has_weights_of_its_own():
    weights = PartWeights([1.0, 0.5])
    weights.values.copy_(torch.tensor([[1.0, 0.5], [0.25, -1.0]]))
    assert weights.at(torch.tensor([0.0, 2.0])).tolist() == [[1.0, 0.5], [1.5, -1.5]]
    assert weights.figures(["a", "b"]) == {"weight_a": 1, "weight_b": 0.5, "weight_a_by_z": 0.25, "weight_b_by_z": -1}
    assert len(weights) == 2


@pytest.mark.parametrize("counts", [torch.zeros(3), torch.full((3,), 4.0)])
def test_where_all_items_are_known_alike_z_is_finite(counts):
    weights = PartWeights([1.0])
    weights.count(counts)
    assert weights.z(torch.tensor([[0], [PAD]]), counts).isfinite().all()


def test_weights_of_a_model_from_before_z_leave_its_scores_as_they_were():
    held = with_weights({"part_weights": torch.tensor([0.3, 2.0], dtype=torch.float64), "other": torch.ones(1)})
    weights = PartWeights([0.0, 0.0])
    weights.load_state_dict({name.partition(".")[2]: held[name] for name in held if name != "other"})
    assert weights.of(torch.tensor([[0], [3]]), COUNTS).tolist() == [[0.3, 2.0]] * 2
    assert set(held) == {"part_weights.values", "part_weights.scale", "other"}
