"""Columns shared out over workers: whole again when joined, saved whole, and loaded by any number of workers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import ArtifactError
from unisid.training import columns


class Gathered:
    """One worker of several, whose peers' parts are known."""

    def __init__(self, parts, rank=0):
        self.parts, self.rank, self.size, self.device = parts, rank, len(parts), torch.device("cpu")

    def all_gather(self, tensor):
        width = tensor.shape[-1]
        rows = tensor.shape[-2] if tensor.dim() > 2 else 1
        assert tensor.shape[0] == 1
        padded = []
        for part in self.parts:
            full = part.new_zeros(1, *part.shape[:-1], width)
            full[0, ..., : part.shape[-1]] = part
            padded.append(full)
        assert rows
        return torch.cat(padded)

    def all_reduce(self, tensor):
        return tensor * self.size


class Alone(Gathered):
    def __init__(self):
        super().__init__([None])


@given(st.integers(0, 40), st.integers(1, 9))
def test_every_column_has_one_owner_and_shares_differ_by_one_at_most(width, size):
    shares = [columns.owned(width, rank, size) for rank in range(size)]
    assert [column for share in shares for column in share] == list(range(width))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
def test_parts_that_are_joined_are_the_whole(width, size, rows):
    whole = torch.arange(float(rows * width)).view(rows, width)
    parts = [whole[:, columns.owned(width, rank, size)] for rank in range(size)]
    for rank, part in enumerate(parts):
        assert torch.equal(columns.join(Gathered(parts, rank), part, width), whole)


def test_a_total_is_added_up_and_its_gradient_passes_as_it_is():
    partial = torch.tensor([1.0, 2.0], requires_grad=True)
    total = columns.Total.apply(partial, Gathered([None, None, None]))
    assert total.tolist() == [3.0, 6.0]
    total.backward(torch.tensor([1.0, 5.0]))
    assert partial.grad.tolist() == [1.0, 5.0]


def test_what_is_saved_whole_is_loaded_by_any_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "BLOCK_BYTES", 4 * 5 * 2)  # two rows at a time
    whole = torch.arange(35.0).view(7, 5)
    columns.saving(Alone(), {"vectors": whole}, {"epoch": 3}, 5)(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["state.json", "vectors.npy"]
    for size in (1, 2, 3):
        for rank in range(size):
            own = columns.owned(5, rank, size)
            found = torch.zeros(7, len(own))
            assert columns.load(tmp_path, {"vectors": found}, own) == {"epoch": 3}
            assert torch.equal(found, whole[:, own.start : own.stop])


def test_a_checkpoint_that_is_not_whole_is_refused(tmp_path):
    columns.saving(Alone(), {"vectors": torch.zeros(3, 2)}, {}, 2)(tmp_path)
    for spoil in (
        lambda: np.save(tmp_path / "vectors.npy", np.zeros((4, 2))),
        lambda: (tmp_path / "vectors.npy").write_bytes(b"x"),
        lambda: (tmp_path / "vectors.npy").unlink(),
    ):
        spoil()
        with pytest.raises(ArtifactError, match="is not a whole checkpoint .*; delete it to start anew"):
            columns.load(tmp_path, {"vectors": torch.zeros(3, 2)}, range(2))
