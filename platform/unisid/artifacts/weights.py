"""Named tensors on disk, as safetensors: nothing here is a pickle."""

import json
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError


def write_weights(place: Place, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors under `name`; tied tensors are written once for each of their names."""
    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    place.write(name, safetensors.torch.save(plain, metadata={"format": "pt"}))


def read_weights(place: Place, name: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU. Raises ArtifactError where it is missing or damaged."""
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
