"""Ways to train a tokenizer and a recommender together, one module a kind.

What each makes of a batch is a loss; when codes move, and which weights learn how fast, are its own too. The codes
that are being learned lie in a buffer, so that a checkpoint and the best weights hold them. B samples, T items of the
longest history, P their tokens, N items, D width of item vectors, E of the teacher's, L levels of an id.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from unisid.backbones import PAD, Backbone, Batch, Index
from unisid.backbones.tiger import Tiger
from unisid.bounds import NotNegative
from unisid.config import PlugIn
from unisid.tokenizers import Tokenizer

MOVED_BY = ("tokenizer.", "")
"""The two parts that learn at rates of their own: the tokenizer, and all else."""

Parts = Mapping[str, Float[Tensor, ""]]
"""What a loss is made of, by name: without gradients, on the device until the epoch ends."""


class Peers(Protocol):
    """Communication between the workers that compute a loss."""

    rank: int
    size: int

    def all_gather(self, tensor: Num[Tensor, "_ *s"]) -> Num[Tensor, "_ *s"]:
        """Everyone's rows, joined in rank order, with gradients."""
        ...


@dataclass(frozen=True)
class Pair:
    """What is trained together, and what it learns from."""

    tokenizer: Tokenizer
    """Fitted; its weights go on from there."""
    backbone: Tiger
    vectors: Float[Tensor, "N D"]
    """What the tokenizer quantizes."""
    codes: Int[Tensor, "N L"]
    """Unique, as the first index has them."""
    sizes: tuple[int, ...]
    """The number of codes of every level."""
    teacher: Float[Tensor, "N E"] | None = None
    """The item vectors of a trained recommender."""


class JointConfig(PlugIn):
    """Base of the settings of every way."""

    tokenizers: ClassVar[tuple[str, ...]]
    """The kinds of tokenizer that it can train."""
    tokenizer_rate: NotNegative
    """The tokenizer's learning rate, whatever the recommender's is; 0: codes never move."""

    @property
    def needs_teacher(self) -> bool:
        """Whether a loss reads a teacher's item vectors."""
        return False

    @abstractmethod
    def build(self, pair: Pair) -> "Joint":
        """The two together, with what else is learned beside them."""


class Joint(nn.Module):
    """Tokenizer and recommender; what is thrown away after training may stand beside them."""

    codes: Int[Tensor, "N L"]
    moved: Bool[Tensor, " N"]
    vectors: Float[Tensor, "N D"]
    teacher: Float[Tensor, "N E"]

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.tokenizer, self.backbone, self.sizes = pair.tokenizer, pair.backbone, pair.sizes
        self.register_buffer("codes", pair.codes.clone())
        self.register_buffer("moved", torch.zeros(len(pair.codes), dtype=torch.bool))
        """Items whose unique codes are not the tokenizer's nearest."""
        self.register_buffer("vectors", pair.vectors, persistent=False)
        self.register_buffer("teacher", pair.teacher if pair.teacher is not None else torch.empty(0), persistent=False)

    @abstractmethod
    def loss(self, batch: Batch, index: Index, peers: Peers, epoch: int) -> tuple[Float[Tensor, ""], Parts]:
        """The mean loss of this worker's share, and what else to show of it."""

    @abstractmethod
    def shares(self, epoch: int) -> tuple[float, float]:
        """Whether the tokenizer (1 or 0), and whether all else learns in an epoch."""

    def reader(self) -> Backbone | None:
        """The recommender as it reads histories while it learns, where that is not by hard codes."""
        return None

    def latents(self, items: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """The tokenizer's latent vectors of items."""
        return self.tokenizer.latent(self.tokenizer.standardise(self.vectors[items]))


def mean_state(encoded: Float[Tensor, "B P D"], real: Bool[Tensor, "B P"]) -> Float[Tensor, "B D"]:
    """The mean over real positions."""
    weights = real.to(encoded.dtype)[..., None]
    return (encoded * weights).sum(1) / weights.sum(1).clamp_min(1)


def real_tokens(histories: Int[Tensor, "B T"], levels: int) -> Bool[Tensor, "B P"]:
    """Which of the tokens of histories belong to an item, item after item."""
    return (histories != PAD).repeat_interleave(levels, dim=1)
