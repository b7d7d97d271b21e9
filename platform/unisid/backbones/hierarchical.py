"""A transformer over items that predicts the next one level by level: a hierarchical softmax over the trie of semantic
ids, and beside it a dense head over the items' own vectors.

    x_i   = own_i + sum over levels of E_l[code] + sum over content of W c_i           (own_i dropped at random)
    h_t   = causal transformer of sqrt(D) x + positions, at every place of a history
    trie  : logit of node v after h = <q_l(h), v>,  v = own_v + E_l[code] + sum over content of W mean(c below v)
    dense : logit of item i after h = <q(h), x_i>

Both logits get two terms that are learned with the rest. *Repeat*: b = age[places since it was taken] + times[how
often] + w . h on every item of the history; a node gets log(1 + sum of (e^b - 1) / items below it), what its mass
becomes if the items below shared it evenly. *Memory*: trust(h) * log(1 + mass / eps), mass being that of the
item-to-item transitions of the training interactions (`ops.transitions`), for a node the sum below it; while training,
a position is shown the table without its own user's later pairs. A decoder ranks by (1 - w) log p(trie) +
w log p(dense); w and a factor on the memory's trust are chosen on validation.

B histories or windows, T items, P positions with a target, N items, L levels, D width, J recalled items.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unisid.artifacts.vectors import check_nouns
from unisid.backbones import BackboneConfig, Index
from unisid.bounds import Count, CountOrNone, Layers, Share, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.ops.transitions import Weights

if TYPE_CHECKING:
    from unisid.backbones.hierarchical_model import Hierarchical


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """The transformer, what an item's vector is made of, and what is added to the logits."""

    learns_from: ClassVar[Literal["samples", "windows"]] = "windows"

    width: Width = 64
    """D: of hidden vectors and of everything that is compared with them."""
    num_layers: Layers = 2
    """Transformer blocks."""
    num_heads: Layers = 2
    """Attention heads of a block."""
    feedforward_width: Width = 256
    """Inner width of a block's feed-forward part."""
    dropout: ShareBelowOne = 0.5
    """Share of values that training zeroes, in attention weights and between layers."""
    own: bool = True
    """Items (and nodes of the trie) have a vector of their own; False: codes and content alone."""
    own_dropout: ShareBelowOne = 0.5
    """Share of own vectors that a training step leaves out, so that an item without one is no exception."""
    content: tuple[str, ...] = ("fused",)
    """Nouns whose item vectors are inputs: of fused, graph, embeddings. Nothing: codes and own vectors alone."""
    content_width: Width = 64
    """Principal components that are kept of each."""
    dense: bool = True
    """Train the head over item vectors beside the trie."""
    repeat: bool = True
    """Learn a term for items that the history holds."""
    memory: CountOrNone = 64
    """J: items that the transition table recalls for a history; 0 for no memory."""
    transitions: Count = 64
    """Transitions that are kept of every item."""
    max_length: Count = 256
    """Items of a history that can be read; at least the catalogue's `history_length`."""
    recency: Share = 0.6
    """Weight of a history's item in the memory relative to the one after it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"hierarchical: width {self.width} over {self.num_heads} heads; must divide evenly")
        check_nouns("hierarchical.content", self.content)

    def build(self, index: Index) -> "Hierarchical":
        from unisid.backbones.hierarchical_model import Hierarchical

        return Hierarchical(self, index)

    def vectors(self) -> tuple[str, ...]:
        return self.content

    @property
    def pairs(self) -> Weights:
        """How the transition table weighs pairs."""
        return Weights()
