"""What an objective may bring to the loop besides batches and a loss."""

from typing import Protocol, TypeVar, runtime_checkable

B = TypeVar("B")
WHOLE = ("",)
"""The parts of a model that learns at one rate."""


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


def parts_of(objective: object) -> tuple[str, ...]:
    """What the weights' names of each part begin with."""
    return objective.parts if isinstance(objective, Parted) else WHOLE


def shares_of(objective: object, epoch: int) -> tuple[float, ...]:
    """The share of the learning rate that each part has in an epoch."""
    return objective.shares(epoch) if isinstance(objective, Parted) else (1.0,)
