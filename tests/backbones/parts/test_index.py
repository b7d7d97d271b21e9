"""Items as backbones see them: their tokens, and which of them are drawn."""

import numpy as np
import pytest
import torch

from unisid.backbones.parts.index import PAD, Index, draw_items, level_starts

CODES = np.array([[0, 2], [1, 0], [1, 1]])


def test_tokens_are_numbered_level_after_level_and_padding_stays():
    index = Index.of(CODES, (2, 3))
    assert index.tokens(torch.tensor([[1, PAD], [0, 2]])).tolist() == [[[1, 2], [PAD, PAD]], [[0, 4], [1, 3]]]
    assert level_starts((2, 3, 4), 5) == (5, 7, 10)


def test_named_vectors_and_titles_go_with_the_items():
    index = Index.of(CODES, (2, 3), {"fused": np.ones((3, 4), np.float32)}, ["a", "b", "c"]).to(torch.device("cpu"))
    assert index.codes.dtype == torch.int32
    assert index.vectors["fused"].shape == (3, 4)
    assert list(index.titles) == ["a", "b", "c"]


@pytest.mark.parametrize("most", [5, 8])
def test_all_items_are_drawn_once_where_there_are_no_more(most):
    assert draw_items(5, most, torch.device("cpu")).tolist() == [0, 1, 2, 3, 4]


def test_as_many_as_asked_for_are_drawn_by_torchs_random_state():
    torch.manual_seed(0)
    first = draw_items(100, 20, torch.device("cpu"))
    torch.manual_seed(0)
    assert torch.equal(first, draw_items(100, 20, torch.device("cpu")))
    assert first.shape == (20,)
    assert 0 <= first.min() <= first.max() < 100
