"""Tokenizers: vectors to codes and back, level by level, in some latent space.

A tokenizer is one module with a frozen dataclass `Config(TokenizerConfig)`; docs/howto/add-a-tokenizer.md.
n rows, D width of the vectors, d width of the latent space, C of collaborative vectors, L levels, l of them chosen,
K codes of a level.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.reading import damaged, whole
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.bounds import Count, Range
from unisid.config import PlugIn, from_record, to_record
from unisid.errors import ConfigError
from unisid.ops.kmeans import OnRound, unwatched
from unisid.ops.residual import lookup, quantize, squared_distances

Levels = Annotated[int, Range(1, 1024)]
"""Levels of a semantic id."""
CodebookSize = Annotated[int, Range(2, 1 << 20)]
"""Codes of a level."""
WEIGHTS, DESCRIPTION = "weights.safetensors", "tokenizer.json"


class TokenizerConfig(PlugIn, abc.ABC):
    """Settings of a tokenizer; every kind has at least these."""

    num_levels: Levels
    codebook_size: CodebookSize
    sample: Count
    """How many items `Tokenizer.start` is to be shown."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of codes of every level [L]."""
        return (self.codebook_size,) * self.num_levels

    @property
    def parts(self) -> tuple[int, ...]:
        """The levels of every part of a semantic id whose codes are unique by themselves; one part by default."""
        return (self.num_levels,)

    @property
    def collaborative_width(self) -> int:
        """Width of the collaborative vectors that its loss needs; 0: it needs none."""
        return 0

    @property
    def weighs_items(self) -> bool:
        """Whether its start weighs items by their training interactions, as a `WeighingTokenizer`'s may."""
        return False

    @abc.abstractmethod
    def build(self, width: int) -> "Tokenizer":
        """An unfitted tokenizer of vectors of this width."""


@runtime_checkable
class Peers(Protocol):
    """Communication between the workers that compute a loss; a single worker gathers its own rows."""

    rank: int

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Everyone's rows, joined in rank order."""
        ...


@dataclass(frozen=True)
class Batch:
    """This worker's equal share of a global batch."""

    vectors: Float[Tensor, "n D"]
    collaborative: Float[Tensor, "n C"] | None = None
    """Collaborative vectors of the same items, zeros where there is none; for settings that need them."""


@dataclass(frozen=True)
class Portable:
    """How a fitted tokenizer encodes, for readers without torch: layers to the latent space, and codewords there.

    A layer is a matrix [outputs, inputs] and a bias [outputs], with ReLU after each but the last.
    """

    quantizer: Literal["residual", "product", "tree"]
    """What the codewords quantize: residuals; pieces of the latent vector; or one cluster within another, the children
    of node n of a level being the rows n K to (n + 1) K of the next."""
    codewords: Float[Tensor, "... d"]
    """[L, K, d], or for a tree all levels joined [W, d]."""
    layers: Sequence[tuple[Tensor, Tensor]] = ()
    normalise: bool = False
    """Standardised vectors are brought to length sqrt(D) first."""

    def arrays(self) -> Mapping[str, Tensor]:
        """All tensors by name: `codewords`, `weight_0`, `bias_0`, ..."""
        named = {"codewords": self.codewords}
        for number, (weight, bias) in enumerate(self.layers):
            named |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return named


class Tokenizer(nn.Module, abc.ABC):
    """Vectors -> codes -> vectors. Inputs are standardised per dimension by `mean` and `std`, kept with the weights.

    `lookup`, `distances` and `complete` are the only access to the codewords. As given here they quantize
    residuals with one codebook a level; a kind whose codewords mean something else has its own three.
    """

    codebooks: Float[Tensor, "L K d"]
    mean: Float[Tensor, " D"]
    std: Float[Tensor, " D"]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.on_round: OnRound = unwatched
        """Where `start` says how far it is."""

    @abc.abstractmethod
    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        """Standardised vectors -> the space whose residuals are quantized, in float32."""

    @abc.abstractmethod
    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        """The inverse of `latent`, as far as there is one: latent points -> standardised vectors."""

    @abc.abstractmethod
    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        """Fit what needs no gradient to a sample of vectors: at least the codewords. A function of its arguments."""

    def standardise(self, vectors: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        """(x - mean) / std, per dimension."""
        return (vectors - self.mean) / self.std

    def lookup(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """The latent points that the codes of the first l levels stand for."""
        return lookup(codes, self.codebooks)

    def distances(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Float[Tensor, "n K"]:
        """How far each code of the level after the prefix would be off: squared, but for a constant of the row."""
        return squared_distances(latents - self.lookup(prefix), self.codebooks[prefix.shape[1]])

    def complete(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        """The prefix and the nearest codes of all later levels."""
        level = prefix.shape[1]
        if level:
            latents = latents - self.lookup(prefix[:, :-1]) - self.codebooks[level - 1][prefix[:, -1]]
        return torch.cat([prefix, quantize(latents, self.codebooks[level:])], 1)

    def part(self, levels: slice) -> "Tokenizer":
        """The tokenizer of the levels of one of its `parts` alone; of a kind of one part, itself."""
        assert (levels.start or 0, levels.stop) == (0, len(self.codebooks)), levels
        return self

    def portable(self) -> Portable:
        """How it encodes, in arrays.

        Raises:
            ConfigError: its codes are not the nearest codewords, or nothing says that they are.
        """
        kind = type(self).__module__.rpartition(".")[2]
        raise ConfigError(
            f"tokenizer '{kind}': its codes are not the nearest codewords, so that no reader without this product can "
            "make them; export an index of another kind, such as rqvae, rqkmeans or opq"
        )

    @torch.no_grad()
    def rename(self, names: Sequence[Int[Tensor, " _"]]) -> None:
        """Call code k of level m names[m][k] from now on: nothing but the numbers of codes changes."""
        for codebook, name in zip(self.codebooks, names, strict=True):
            codebook.copy_(codebook[name.argsort()])

    def encode(self, vectors: Float[Tensor, "n D"]) -> Int[Tensor, "n L"]:
        """The codes of vectors: the nearest codeword, level by level. Not yet unique."""
        latents = self.latent(self.standardise(vectors))
        return self.complete(latents, latents.new_empty(len(latents), 0, dtype=torch.long))

    def decode(self, codes: Int[Tensor, "n L"]) -> Float[Tensor, "n D"]:
        """The vectors that codes stand for."""
        return self.restore(self.lookup(codes)) * self.std + self.mean


class WeighingTokenizer(Tokenizer):
    """A tokenizer whose start may weigh items."""

    @abc.abstractmethod
    def start_weighing(self, vectors: Float[Tensor, "n D"], interactions: Int[Tensor, " n"], seed: int) -> None:
        """As `start`, with how many training interactions every item of the sample has."""


class LearnedTokenizer(Tokenizer):
    """A tokenizer that goes on from its start by gradient descent."""

    @abc.abstractmethod
    def loss(self, batch: Batch, peers: Peers) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The mean loss of this worker's share, and what else to show of it."""


def write_tokenizer(place: Place, config: TokenizerConfig, tokenizer: Tokenizer) -> None:
    """Keep a fitted tokenizer, so that an index can later take new items with the same codebooks."""
    write_weights(place, WEIGHTS, tokenizer.state_dict())
    write_json(place, DESCRIPTION, {"width": len(tokenizer.mean), "tokenizer": to_record(config)})


def read_tokenizer(place: Place) -> Tokenizer:
    """The fitted tokenizer of a codes artifact, on the CPU, ready to encode."""
    description = read_json(place, DESCRIPTION)
    record, width = description.get("tokenizer"), description.get("width")
    if not isinstance(record, dict) or not isinstance(width, int):
        raise damaged(place, DESCRIPTION, "lacks 'tokenizer' or 'width'")
    with whole(place, DESCRIPTION, "the settings of a tokenizer"):
        tokenizer = from_record(TokenizerConfig, record).build(width)  # type: ignore[type-abstract]
    try:
        tokenizer.load_state_dict(read_weights(place, WEIGHTS))
    except RuntimeError as error:
        raise damaged(place, WEIGHTS, f"are not the weights {DESCRIPTION} describes ({error})") from None
    return tokenizer.eval().requires_grad_(False)
