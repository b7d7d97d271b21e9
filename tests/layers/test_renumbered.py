"""Rows of items follow them to other numbers."""

import torch
from torch import nn

from unisid.layers.renumbered import counted, rows_of


def test_rows_follow_their_items_and_later_ones_have_none():
    rows = torch.arange(6.0).view(3, 2)
    found = rows_of(rows, torch.tensor([2, -1, 0, 1]))
    assert found.tolist() == [[4, 5], [0, 0], [0, 1], [2, 3]]
    assert rows.tolist() == [[0, 1], [2, 3], [4, 5]]  # as they were


def test_counts_follow_and_the_memory_is_the_models_own():
    model = nn.Module()
    model.memory = nn.Module()
    model.memory.register_buffer("next", torch.ones(2))
    model.register_buffer("other", torch.ones(2))
    found = counted(model, torch.tensor([5.0, 7.0, 9.0]), torch.tensor([1, -1]))
    assert found.keys() == {"memory.next", "counts"}
    assert found["counts"].tolist() == [7, 0]
