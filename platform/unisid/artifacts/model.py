"""The model: a trained recommender and the fingerprint of the codes it speaks.

`weights.safetensors`, `backbone.json` (the settings that build it). Loading it with other codes is refused.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unisid.artifacts.codes import Codes
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.errors import ArtifactError


def write_model(place: Place, backbone: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Write a trained backbone: the settings that build it, as `config.to_record` gives them, and its weights."""
    write_weights(place, "weights.safetensors", weights)
    write_json(place, "backbone.json", backbone)


@dataclass(frozen=True)
class Model:
    """A read model."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place, codes: Codes) -> "Model":
        """Raises ArtifactError where the model was not trained on these codes."""
        record = require(place, "model")
        spoken = record.inputs["codes"]
        if spoken["fingerprint"] != codes.record.fingerprint:
            raise ArtifactError(
                f"{place}: speaks the codes {spoken['address']} ({spoken['fingerprint'][:12]}), not "
                f"{codes.record.address} ({codes.record.fingerprint[:12]}); load it with the index it was trained on"
            )
        return cls(place, record)

    def backbone(self) -> dict[str, Any]:
        """The settings of the backbone, as `config.from_record` reads them."""
        return read_json(self.place, "backbone.json")

    def weights(self) -> dict[str, Tensor]:
        """The backbone's weights, by name, on the CPU."""
        return read_weights(self.place, "weights.safetensors")
