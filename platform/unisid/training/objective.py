"""What an objective brings to the training loop, and what it may bring besides."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from unisid.compute import Metrics

B = TypeVar("B")
Parts = Mapping[str, float | Float[Tensor, ""]]
"""What to show of a loss besides, by name; tensors, without gradients, stay on the device until the epoch ends."""
WHOLE = ("",)
"""The parts of a model that learns at one rate."""


class Objective(Protocol[B]):
    """What a stage brings to the loop."""

    model: nn.Module
    higher_is_better: bool
    """Of the metric that `validate` returns under "score"."""

    def steps_per_epoch(self) -> int:
        """How many steps an epoch has; the same on every worker."""
        ...

    def batches(self, epoch: int) -> Iterable[B]:
        """This worker's share of every global batch of an epoch, a micro-batch at a time."""
        ...

    def loss(self, batch: B) -> tuple[Float[Tensor, ""], Parts]:
        """The mean loss of the share, or a sum that `Accumulation` counts; and what else to show of it."""
        ...

    def validate(self) -> Metrics:
        """Must hold "score", equal on every worker; the model is in eval mode, without gradients."""
        ...


@runtime_checkable
class Exploring(Protocol[B]):
    """An objective that learns from what its own model answers, as reinforcement learning does."""

    def rollout(self, batch: B) -> B:
        """A micro-batch with the model's answers: made before the step that learns from it, without a gradient, in eval
        mode, and with all weights at hand however they are shared out; so `Backbone.search` may be used."""
        ...


@runtime_checkable
class Parted(Protocol):
    """An objective whose model has parts that learn at rates of their own."""

    parts: tuple[str, ...]
    """What the names of the weights of each begin with; a weight is of the first that fits."""

    def shares(self, epoch: int) -> tuple[float, ...]:
        """The share of the learning rate that each part has in an epoch; 0: it does not move at all."""
        ...


@runtime_checkable
class WholeEpochs(Protocol):
    """An objective whose epochs begin with what no checkpoint holds, such as codes made anew: a fit of it is saved
    between two epochs alone."""

    whole_epochs: bool


def is_whole(objective: object) -> bool:
    """Whether a fit of the objective is saved between two epochs alone."""
    return isinstance(objective, WholeEpochs) and objective.whole_epochs


def parts_of(objective: object) -> tuple[str, ...]:
    """Prefixes of the weights' names of each part."""
    return objective.parts if isinstance(objective, Parted) else WHOLE


def shares_of(objective: object, epoch: int) -> tuple[float, ...]:
    """The share of the learning rate that each part has in an epoch."""
    return objective.shares(epoch) if isinstance(objective, Parted) else (1.0,)
