"""S3-Rec: SASRec that also learns, from both sides of what is hidden, how items, attributes and segments go together.

    next        SASRec's loss, reading forward
    attribute   an item's vector predicts its attributes (AAP)
    hidden      a hidden item is predicted from both sides (MIP), and its attributes are (MAP)
    segment     the row around a hidden segment is nearer to the segment than to one of drawn items (SP)

Zhou et al., 2020. The paper learns the last four first and the next item then; here they are learned together, as one
weighted sum, by the trainer that all share. An item's attributes are words of its text. Prediction is SASRec's.
B rows, T items, D width, N items, A attributes.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.attributes import attributes
from unisid.baselines.parts.learned import (
    PAD,
    LearnedBaseline,
    Windows,
    count_next,
    labelled_loss,
    next_item_loss,
    score_all,
)
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers, NotNegative, Range, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.layers.transformer import Block, start
from unisid.ops.dropout import dropout

GAPS, SEGMENTS, STRANGERS = 2, 3, 4
"""The streams that hidden items, segments and the items of other segments are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The transformer, and what each task counts beside the next item; the weights are the paper's code's."""

    num_layers: Layers = 2
    """Blocks of attention and feed-forward."""
    num_heads: Layers = 2
    """Of attention."""
    feedforward_width: Width = 256
    """Of the layer inside each feed-forward part."""
    dropout: ShareBelowOne = 0.3
    """Of embeddings, attention and what each part adds."""
    gaps: Annotated[float, Range(0, 1, above=True, below=True)] = 0.2
    """The share of items that are hidden."""
    num_attributes: Width = 512
    """A: at most so many words."""
    attribute_weight: NotNegative = 0.2
    """Of AAP."""
    hidden_weight: NotNegative = 1.0
    """Of MIP."""
    hidden_attribute_weight: NotNegative = 1.0
    """Of MAP."""
    segment_weight: NotNegative = 0.5
    """Of SP."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"s3rec: width {self.width} over {self.num_heads} heads; must divide evenly")

    def model(self, catalog: Catalog) -> "S3Rec":
        return S3Rec(self, attributes(catalog, self.num_attributes), catalog.history_length)


class S3Rec(LearnedBaseline):
    """What stands for a hidden item is an entry after the last item. The attributes are no part of the weights."""

    attributes: Float[Tensor, "N A"]

    def __init__(self, config: Config, found: Float[Tensor, "N A"], max_length: int) -> None:
        super().__init__()
        self.config, self.gap, width = config, len(found), config.width
        self.register_buffer("attributes", found, persistent=False)
        self.items, self.words = nn.Embedding(len(found) + 1, width), nn.Embedding(found.shape[1], width)
        self.positions = nn.Embedding(max_length + 1, width)
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.feedforward_width, config.dropout, True)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.of_item, self.of_gap, self.of_segment = (nn.Linear(width, width) for _ in range(3))
        start(self)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        """The hidden state after each item."""
        length = items.shape[1]
        return self._read(items, torch.ones(length, length, dtype=torch.bool, device=items.device).triu(1))

    def around(self, entries: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The hidden state at every place; it attends to all of a row, not to PAD."""
        return self._read(entries, (entries == PAD)[:, None, None, :])

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        found = next_item_loss(self.states, self._table, windows, config.loss, config.num_negatives)
        if config.attribute_weight:
            found = found + config.attribute_weight * self.attribute_loss(windows)
        if config.hidden_weight or config.hidden_attribute_weight:
            found = found + self.hidden_loss(windows)
        if config.segment_weight:
            found = found + config.segment_weight * self.segment_loss(windows)
        return found

    def attribute_loss(self, windows: Windows) -> Float[Tensor, ""]:
        """AAP, summed over the items of the rows."""
        items = windows.items[windows.items != PAD]
        return self._predicted(self.of_item(self._table[items]), items)

    def hidden_loss(self, windows: Windows) -> Float[Tensor, ""]:
        """MIP and MAP, weighted, summed over hidden items."""
        config, gaps = self.config, self.hide(windows)
        states = self.around(windows.items.masked_fill(gaps, self.gap))
        masked = windows.items.masked_fill(~gaps, PAD)
        items = labelled_loss(states, masked, self._table, windows, config.loss, config.num_negatives)
        named = self._predicted(self.of_gap(states[gaps]), windows.items[gaps])
        return config.hidden_weight * items + config.hidden_attribute_weight * named

    def segment_loss(self, windows: Windows) -> Float[Tensor, ""]:
        """SP, summed over rows: -log sigmoid(<c, W s> - <c, W s'>), each the state at the row's last place."""
        inside = self.segment(windows)
        drawn = windows.draws(windows.items.shape[1], stream=STRANGERS) * self.gap
        real, last = windows.items != PAD, (windows.items != PAD).sum(1) - 1
        rows = torch.arange(len(last), device=last.device)
        context, segment, stranger = (
            self.around(torch.where(real, entries, PAD))[rows, last]
            for entries in (
                windows.items.masked_fill(inside, self.gap),
                windows.items.masked_fill(~inside, self.gap),
                drawn.long().masked_fill(~inside, self.gap),
            )
        )
        near, far = ((context * self.of_segment(each)).sum(-1) for each in (segment, stranger))
        return functional.softplus(far - near).float().sum()

    def hide(self, windows: Windows) -> Bool[Tensor, "B T"]:
        """Where the step's draws make gaps."""
        draws = windows.draws(windows.items.shape[1], stream=GAPS)
        return (draws < self.config.gaps) & (windows.items != PAD)

    def segment(self, windows: Windows) -> Bool[Tensor, "B T"]:
        """Of every row, a stretch of at least one item and at most half of them, at a drawn place."""
        count = (windows.items != PAD).sum(1)
        size, place = windows.draws(2, stream=SEGMENTS).unbind(1)
        length = 1 + (size * (count // 2).clamp(min=1)).long()
        first = (place * (count - length + 1)).long()
        places = torch.arange(windows.items.shape[1], device=windows.items.device)
        return (places >= first[:, None]) & (places < (first + length)[:, None])

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self._table, histories)

    @property
    def _table(self) -> Float[Tensor, "N D"]:
        return self.items.weight[:-1]

    def _predicted(self, found: Float[Tensor, "P D"], items: Int[Tensor, " P"]) -> Float[Tensor, ""]:
        """The loss of all attributes of items by vectors that are to predict them."""
        logits = (found @ self.words.weight.T).float()
        return functional.binary_cross_entropy_with_logits(logits, self.attributes[items], reduction="sum")

    def _read(self, entries: Int[Tensor, "B T"], hidden: Tensor) -> Float[Tensor, "B T D"]:
        vectors = self.items(entries.clamp(min=0)) * math.sqrt(self.config.width)
        states = vectors + self.positions.weight[: entries.shape[1]]
        states = dropout(states, self.config.dropout if self.training else 0.0)
        for block in self.blocks:
            states = block(states, hidden)
        found: Tensor = self.norm(states)
        return found
