"""Tensors and JSON on disk: what is read is what was written, and whatever else lies there is named."""

import pytest
import torch

from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.errors import ArtifactError


def test_tensors_of_every_kind_are_read_as_they_were(place):
    tied = torch.arange(6.0).view(2, 3)
    given = {
        "half": torch.ones(2, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(3),
        "turned": tied.T,  # not contiguous
        "tied": tied,
        "again": tied,
        "learns": torch.zeros(1, requires_grad=True),
    }
    write_weights(place, "w.safetensors", given)
    found = read_weights(place, "w.safetensors")
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in given.items())
    assert not found["learns"].requires_grad


def test_equal_values_are_equal_bytes(place):
    write_json(place, "a.json", {"b": 1, "a": [1, 2.5, None]})
    write_json(place, "b.json", {"a": [1, 2.5, None], "b": 1})
    assert place.read("a.json") == place.read("b.json")
    assert read_json(place, "a.json") == {"a": [1, 2.5, None], "b": 1}


@pytest.mark.parametrize(
    ("read", "data", "why"),
    [
        (read_weights, b"", "is not a whole safetensors file"),
        (read_weights, b"\x80\x04pickle", "is not a whole safetensors file"),
        (read_json, b"{", "is not whole JSON"),
        (read_json, b"[1]", "it holds no object"),
        (read_json, b"\xff", "is not whole JSON"),
    ],
)
def test_other_bytes_are_named_with_their_file(place, read, data, why):
    place.write("x", data)
    with pytest.raises(ArtifactError, match=f"/x: .*{why}.*delete this file and run the stage again"):
        read(place, "x")
