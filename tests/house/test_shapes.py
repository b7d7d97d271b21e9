"""The shapes that signatures say are checked in these tests, wherever they are written."""

import numpy as np
import pytest
import torch

from tests import shapes
from unisid.evaluation.figures import over_seeds


def test_every_room_of_tensors_is_among_them():
    found = {name.split(".")[1] for name in shapes.modules()}
    assert {"encoders", "layers", "joint", "serving", "stages", "ops", "evaluation", "training"} <= found


def test_a_wrong_shape_is_refused_where_other_types_are_not_checked():
    with pytest.raises(TypeError, match="over_seeds"):
        over_seeds(np.zeros((2, 3)), [5])


@pytest.mark.parametrize(
    ("hint", "holds"),
    [
        ("Float[Tensor, 'B D'] | None", True),
        ("Mapping[str, int]", False),
        (shapes.AbstractArray, True),
        (dict[str, shapes.AbstractArray], True),
        (list[int], False),
    ],
    ids=["written", "written mapping", "array", "mapping of arrays", "numbers"],
)
def test_what_holds_a_shape(hint, holds):
    assert shapes.holds_shape(hint) == holds


def test_types_without_shapes_are_left_alone():
    def scaled(values, by):
        return values * by

    scaled.__annotations__ = {"values": torch.Tensor, "by": int}
    assert shapes.checked(scaled) is scaled
    assert scaled(torch.ones(2), 2.0).tolist() == [2, 2]
