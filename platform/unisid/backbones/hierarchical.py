"""Two transformers over items, one for the trie of semantic ids and one for the items' own vectors, and a memory.

    trie  : x_i = sum over levels of E_l[code] + sum over content of W c_i,    h = causal transformer of x
            logit of node v after h = <q_l(h), v>,    v = sum over its levels of E_l[code] + sum of W mean(c below v)
    dense : y_i = the item's own vector,    g = causal transformer of y,    logit of item i after g = <g, y_i>

The trie's softmax is over the children of the node reached, level by level: a proper distribution over items, searched
by beams. Every place of a history has a target. Both heads have a *repeat* term that is learned with the rest:
b = age[places since it was taken] + times[how often] + w . state on every item of the history; a node gets
log(1 + sum of (e^b - 1) / items below it), what its mass becomes if the items below shared it evenly. A *memory* of
item-to-item transitions counted in the training interactions (`ops.transitions`) recalls items of some mass. A decoder
ranks by (1 - w) log p(trie) + w log p(dense) + trust * log(1 + mass / eps); w and the trust are chosen on validation. A
learned trust joins the logits of both heads instead, those of nodes with the sum of the mass below them.

B histories or windows, T items, P positions with a target, N items, L levels, D width, J recalled items.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unisid.artifacts.vectors import check_nouns
from unisid.backbones import BackboneConfig, Index
from unisid.bounds import Count, CountOrNone, Layers, Positive, Share, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.ops.transitions import Weights

if TYPE_CHECKING:
    from unisid.backbones.hierarchical_model import Hierarchical


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """The transformers, what an item's vector is made of, and what is added to the logits."""

    learns_from: ClassVar[Literal["samples", "windows"]] = "windows"

    width: Width = 64
    """D: of hidden vectors and of everything that is compared with them."""
    num_layers: Layers = 2
    """Blocks of each transformer."""
    num_heads: Layers = 2
    """Attention heads of a block."""
    feedforward_width: Width = 256
    """Inner width of a block's feed-forward part."""
    dropout: ShareBelowOne = 0.5
    """Share of values that training zeroes, in attention weights and between layers."""
    content: tuple[str, ...] = ("embeddings", "graph")
    """Nouns whose item vectors the trie's transformer reads: of fused, graph, embeddings. Nothing: codes alone."""
    content_width: Width = 64
    """Principal components that are kept of each."""
    dense: bool = True
    """The second transformer, over items' own vectors; False: semantic ids alone."""
    repeat: bool = True
    """Learn a term for items that the history holds."""
    memory: CountOrNone = 64
    """J: items that the transition table recalls for a history; 0 for no memory."""
    trust: Literal["chosen", "learned"] = "chosen"
    """How much the memory counts: `chosen` takes no part in training, joins the items' scores, and validation decides;
    `learned` is a function of the state that joins the logits, and a place in training is shown the table without its
    own user's later pairs."""
    eps: Positive = 0.02
    """The mass from which on the memory counts; `learned` begins there."""
    transitions: Count = 64
    """Transitions that are kept of every item."""
    recency: Share = 0.6
    """Weight of a history's item in the memory relative to the one after it."""
    max_length: Count = 256
    """Items of a history that can be read; at least the catalogue's `history_length`."""

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
    def learns_trust(self) -> bool:
        """Whether the memory takes part in training."""
        return self.memory > 0 and self.trust == "learned"

    @property
    def pairs(self) -> Weights:
        """How the transition table weighs pairs."""
        return Weights()
