"""The loss of a fusion: what its settings make of the parts."""

import pytest
import torch
from torch import Tensor

from unisid.config import fingerprint, to_record
from unisid.fusion import Batch, Items, LearnedFusion, Loss
from unisid.ops.ragged import Ragged


class Plain(LearnedFusion):
    """The text is the vector, and all that it says of the text."""

    width = 4

    def forward(self, items: Items) -> Tensor:
        return items["text"].values

    def reconstruct(self, vectors: Tensor) -> dict[str, Tensor]:
        return {"text": vectors}


def batch() -> Batch:
    """Three anchors, then their structure positives, then their semantic ones."""
    rows = torch.randn(9, 1, 4, generator=torch.Generator().manual_seed(3))
    none = torch.zeros(3, 3, dtype=torch.bool)
    return Batch(
        Items({"text": Ragged.rectangle(rows)}),
        torch.arange(9),
        {"text": torch.zeros(3, 4)},
        torch.arange(3),
        none,
        none,
    )


def parts(**settings: float) -> dict[str, float]:
    return {name: part.item() for name, part in Plain().loss(batch(), Loss(**settings), lambda own: own).items()}


def test_each_kind_of_neighbours_has_its_own_temperature() -> None:
    apart = parts(structure_temperature=0.5, semantic_temperature=0.1)
    assert apart["structure"] == pytest.approx(parts(temperature=0.5)["structure"])
    assert apart["semantic"] == pytest.approx(parts(temperature=0.1)["semantic"])
    assert apart["structure"] != pytest.approx(parts(temperature=0.1)["structure"])
    one = parts(temperature=0.5, semantic_temperature=0.1)
    assert (one["structure"], one["semantic"]) == pytest.approx((apart["structure"], apart["semantic"]))


def test_temperatures_left_out_change_no_identity() -> None:
    def identity(loss: Loss) -> str:
        return fingerprint(to_record(loss, identity=True))

    assert "structure_temperature" not in to_record(Loss(), identity=True)
    assert identity(Loss(structure_temperature=0.05)) != identity(Loss())


@pytest.mark.parametrize(("weight", "alone"), [(1.0, "structure"), (0.0, "semantic")])
def test_each_contrast_alone_without_reconstruction(weight: float, alone: str) -> None:
    found = parts(structure_weight=weight, reconstruction_weight=0.0)
    assert found["loss"] == pytest.approx(found[alone])
