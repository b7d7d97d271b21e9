"""Two transformers over items, one for the trie of semantic ids and one for the items' own vectors, and a memory.

    trie  : x_i = sum over levels of E_l[code] + sum over content of W c_i,    h = causal transformer of x
            logit of node v after h = <q_l(h), v>,    v = sum over its levels of E_l[code] + sum of W mean(c below v)
    dense : y_i = the item's own vector,    g = causal transformer of y,    logit of item i after g = <g, y_i>

The trie's softmax is over the children of the node reached, level by level: a proper distribution over items, searched
by beams. Every place of a history has a target. Both heads have a *repeat* term that is learned with the rest:
b = age[places since it was taken] + times[how often] + w . state on every item of the history; a node gets
log(1 + sum of (e^b - 1) / items below it), what its mass becomes if the items below shared it evenly.

A *memory* of neighbour tables (`layers.recall`), counted and not learned, recalls items: what follows an item in the
training interactions, in one step and in two, what is like it by vectors or by the words of titles, and what follows
that. It takes no part in training. A decoder ranks by

    w_trie log p(trie) + w_dense log p(dense) + sum over relations of w_r log(1 + mass_r / eps_r)

whose weights are fitted to what validation's users took next (`ops.blend`), each time validation ranks.

B histories or windows, T items, P positions with a target, N items, L levels, D width, J recalled items.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from unisid.artifacts.vectors import check_nouns
from unisid.backbones import BackboneConfig, Index, check_length
from unisid.bounds import Count, CountOrNone, Layers, NotNegative, ShareBelowOne, Width
from unisid.config import identity_where
from unisid.errors import ConfigError
from unisid.layers.recall import MemoryConfig

if TYPE_CHECKING:
    from unisid.backbones.hierarchical.model import Hierarchical


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """The transformers, what an item's vector is made of, and what is added to the logits."""

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
    negatives: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.negatives > 0))
    """Items, drawn by how often they are taken, that a step of the dense head learns from beside the targets; 0: all
    items up to 131,072, and 8,192 of a larger catalogue."""
    targets: Literal["all", "one"] = field(
        default="all", metadata=identity_where(lambda config: config.targets != "all")
    )
    """`all`: every item of a user's sequence but the first is a target, in windows; `one`: every history is a sample of
    its own with one target, so an epoch reads as many as there are targets."""
    temperature: NotNegative = field(default=0.0, metadata=identity_where(lambda config: config.temperature > 0))
    """Divides the cosines of the trie's queries and nodes, which then are its logits; 0: dot products."""
    softmax: Literal["children", "codebook"] = field(
        default="children", metadata=identity_where(lambda config: config.softmax != "children")
    )
    """Training's, at each level: over the `children` of the node reached, or over the level's whole `codebook`, codes
    that no child has among them. Items are ranked by the first, whatever training does."""
    repeat: bool = True
    """Learn a term for items that the history holds."""
    memory: MemoryConfig | None = field(default_factory=MemoryConfig)
    """Which related items are recalled, if any."""
    max_length: Count = 256
    """Items of a history that can be read; at least the catalogue's `history_length`."""

    @property
    def learns_from(self) -> Literal["samples", "windows"]:
        return "windows" if self.targets == "all" else "samples"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"hierarchical: width {self.width} over {self.num_heads} heads; must divide evenly")
        if self.softmax == "codebook" and self.temperature:
            raise ConfigError("hierarchical: softmax codebook compares by dot products; temperature must be 0")
        check_nouns("hierarchical.content", self.content)

    def build(self, index: Index) -> "Hierarchical":
        from unisid.backbones.hierarchical.model import Hierarchical

        return Hierarchical(self, index)

    def fits_history(self, length: int) -> None:
        check_length("hierarchical", self.max_length, length)

    def vectors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.content, *(self.memory.alike if self.memory else ()))))
