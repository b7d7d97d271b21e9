"""What a model that goes on from a trained one begins with: the other's weights, where both are of one kind."""

from collections.abc import Mapping

import torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import BACKBONE, WEIGHTS, Model, numbers_before
from unisid.artifacts.reading import whole
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_weights
from unisid.backbones import Backbone, BackboneConfig, Index
from unisid.config import differences, to_record
from unisid.errors import ArtifactError, ConfigError
from unisid.serving.recommender import settings_of
from unisid.stages.extension import Base


def check(start: Base | None, settings: BackboneConfig, codes: Place) -> None:
    """Refuse to start from a model that these settings cannot go on from.

    Raises:
        ArtifactError: it is gone, another has its place, or it was trained on an index that `codes` does not extend.
        ConfigError: its backbone has other settings or began with other pretrained weights.
    """
    if start is None:
        return
    place = start.open("model")
    try:
        found = Model.read(place, Codes.read(codes), goes_on=True)
    except ArtifactError as error:
        raise ArtifactError(f"model.starts_from: {error}") from None
    trained = settings_of(found)
    own = {role: source["fingerprint"] for role, source in settings.sources().items()}
    others = {role: found.record.inputs.get(role, {}).get("fingerprint") for role in own}
    before, after = to_record(trained, identity=True) | others, to_record(settings, identity=True) | own
    if changes := differences(before, after):
        lines = "\n    ".join(changes)
        raise ConfigError(
            f"model.starts_from: {start.address} has another backbone:\n    {lines}\n"
            "  Give these settings, or leave model.starts_from out"
        )


def place_of(start: Base | None, inputs: Mapping[str, Place]) -> Place | None:
    """Where the weights lie that training begins with: another model's, or what was trained with the codes."""
    return start.open("model") if start is not None else inputs.get("joint")


def load(place: Place, backbone: Backbone, catalog: Catalog, index: Index, codes: Place) -> None:
    """Take the weights over; raises ArtifactError where they are not those of the backbone."""
    was = numbers_before(place, Codes.read(codes), catalog)
    with whole(place, WEIGHTS, f"the weights of the backbone that {BACKBONE} describes"):
        numbers = None if was is None else torch.from_numpy(was)
        backbone.go_on_from(read_weights(place, WEIGHTS), catalog, index, numbers)
