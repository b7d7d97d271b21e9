"""Named tensors on disk, as safetensors: nothing here is a pickle."""

from __future__ import annotations  # torch is named here and imported where it is used: looking at figures needs none

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

if TYPE_CHECKING:
    from torch import Tensor


def write_weights(place: Place, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors under `name`; tied tensors are written once for each of their names."""
    import safetensors.torch

    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    place.write(name, safetensors.torch.save(plain, metadata={"format": "pt"}))


def read_weights(place: Place, name: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises ArtifactError where it is missing or damaged."""
    import safetensors.torch

    try:
        return safetensors.torch.load(place.read(name))
    except SafetensorError as error:
        raise ArtifactError(f"{place}/{name}: is not a whole safetensors file ({error})") from None


def write_json(place: Place, name: str, value: object) -> None:
    place.write(name, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(place: Place, name: str) -> dict[str, object]:
    try:
        value: dict[str, object] = json.loads(place.read(name))
    except ValueError as error:
        raise ArtifactError(f"{place}/{name}: is not whole JSON ({error}); delete the artifact's folder and make it "
                            "anew") from None  # fmt: skip
    return value
