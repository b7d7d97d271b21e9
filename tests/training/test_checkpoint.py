"""Checkpoints of training: what is written is read, in files of limited size; what is damaged is refused."""

import pytest
import torch

from unisid.errors import ArtifactError
from unisid.training import checkpoint
from unisid.training.checkpoint import COUNTERS, Checkpoint, save


@pytest.fixture
def tensors():
    return {
        "model.weight": torch.arange(12.0).view(3, 4).T,  # not contiguous
        "model.bias": torch.ones(3, dtype=torch.bfloat16),
        "optimizer.step": torch.tensor(7),
        "empty": torch.empty(0, 2),
    }


@pytest.mark.parametrize(("most", "files"), [(1 << 30, 1), (1, 4), (50, 2)], ids=["one", "four", "two"])
def test_what_is_written_is_read_from_however_many_files(tmp_path, monkeypatch, tensors, most, files):
    monkeypatch.setattr(checkpoint, "FILE_BYTES", most)
    save(tmp_path, iter(tensors.items()), {"epoch": 3, "best": None})
    found = Checkpoint(tmp_path)
    assert found.counters == {"epoch": 3, "best": None}
    assert len(list(tmp_path.glob("tensors-*"))) == files
    assert set(found) == set(tensors)
    assert len(found) == len(tensors)
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)
        assert found[name].dtype == tensor.dtype
    assert set(found.part("model.")) == {"weight", "bias"}
    torch.testing.assert_close(found.part("model.")["weight"], tensors["model.weight"])


def test_tensors_are_copied_when_they_come_and_may_change_afterwards(tmp_path):
    """A generator may reuse one buffer for all that it yields."""
    buffer = torch.zeros(2)

    def reused():
        for value in (1.0, 2.0):
            yield f"value {value:g}", buffer.fill_(value)

    save(tmp_path, reused(), {})
    assert {name: tensor.tolist() for name, tensor in Checkpoint(tmp_path).items()} == {
        "value 1": [1, 1],
        "value 2": [2, 2],
    }


@pytest.mark.parametrize("file", [COUNTERS, "tensors-00000.safetensors"])
def test_a_damaged_checkpoint_is_refused_with_its_place(tmp_path, tensors, file):
    save(tmp_path, tensors.items(), {})
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="is not a whole checkpoint .*; delete it to start anew") as raised:
        dict(Checkpoint(tmp_path))
    assert str(raised.value).startswith(f"{tmp_path}: ")


def test_one_without_counters_was_never_finished(tmp_path, tensors):
    save(tmp_path, tensors.items(), {})
    (tmp_path / COUNTERS).unlink()
    with pytest.raises(ArtifactError, match="is not a whole checkpoint"):
        Checkpoint(tmp_path)
