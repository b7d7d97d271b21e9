"""What answers are worth: log p of the items under a trained recommender of the same index, whatever its backbone."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError, ConfigError
from unisid.serving.recommender import Recommender, settings_of, vectors_of
from unisid.stages.extension import Base


def check(base: Base, codes: Place) -> None:
    """Refuse a model that cannot judge answers of this index.

    Raises:
        ArtifactError: it is gone, another has its place, or it was trained on an index that `codes` does not extend.
        ConfigError: its backbone has no log p of an item.
    """
    place = base.open("model")
    try:
        found = Model.read(place, Codes.read(codes))
    except ArtifactError as error:
        raise ArtifactError(f"align.reward: {error}") from None
    if not settings_of(found).aligns:
        raise ConfigError(f"align.reward: {base.address} ranks by two streams merged, which have no log p of an item")


def load(base: Base, inputs: Mapping[str, Place], device: torch.device) -> Recommender:
    """The recommender, with the item vectors that it reads from the store in which it lies."""
    place = base.open("model")
    record, store = require(place, "model"), Store(place.parent.parent.parent)
    read = [noun for noun in vectors_of(place) if noun in record.inputs]
    vectors = {noun: require_input(store, record, noun) for noun in read}
    return Recommender.load(place, inputs["codes"], inputs["catalog"], device, vectors)


@torch.no_grad()
def of(judge: Recommender, histories: Int[Tensor, "B T"], answers: Int[Tensor, "B G"]) -> Float[Tensor, "B G"]:
    """The reward of each answer after its history; without meaning where an answer is -1, which fills short rows."""
    return judge.backbone.log_probs_of(histories, answers, judge.index).sum(2)
