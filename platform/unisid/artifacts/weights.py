"""Named tensors on disk, as safetensors: nothing here is a pickle."""

from __future__ import annotations  # torch is named here and imported where it is used: looking at figures needs none

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from unisid.artifacts.reading import contents, damaged, whole
from unisid.artifacts.store import Place

if TYPE_CHECKING:
    from torch import Tensor

TENSORS = "a whole safetensors file"


def write_weights(place: Place, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors under `name`; tied tensors are written once for each of their names."""
    import safetensors.torch

    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    with place.writing(name) as stream:
        stream.write(safetensors.torch.save(plain, metadata={"format": "pt"}))


def read_weights(place: Place, name: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises ArtifactError where it is missing or damaged."""
    import safetensors.torch

    data = contents(place, name)
    try:
        with whole(place, name, TENSORS):
            return safetensors.torch.load(data)
    except (SafetensorError, RuntimeError) as error:
        raise damaged(place, name, f"is not {TENSORS} ({error})") from None


def write_json(place: Place, name: str, value: object) -> None:
    """Write a value as JSON, its keys in order, so that equal values are equal bytes."""
    with place.writing(name) as stream:
        stream.write((json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(place: Place, name: str) -> dict[str, Any]:
    """The object in a file. Raises ArtifactError where it is missing or damaged."""
    data = contents(place, name)
    with whole(place, name, "whole JSON"):
        value = json.loads(data)
    if not isinstance(value, dict):
        raise damaged(place, name, "is not whole JSON (it holds no object)")
    return value
