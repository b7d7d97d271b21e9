"""UNGER, stage I: a vector an item from what users do, aligned with what its text says (arXiv 2502.06269, 3.3).

    m_i = AdaLN(W e_s,i + b)          L = L_next + alpha L_CKA
    L_CKA = mean over targets i of -log( exp(s(c_i, m_i)) / sum over the batch's targets j of exp(s(c_i, m_j)) )

c_i is row i of the item table of a sequence model that begins at random; s is the cosine over a temperature. Once both
are learned the paper takes c_i as the integrated vector. An item of no training sequence has a row that nothing moved,
and a new item has none: they take m_i, which lies in the same space. n rows, T items, P places that have a target, U
distinct targets, N items, D width, B items to be fused, W width of the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.bounds import Count, Layers, NotNegative, Positive, Range, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.fusion import GRAPH, PAD, TEXT, Following, FusionConfig, Items, SequenceFusion, in_order
from unisid.layers.adaptive import AdaptiveNorm
from unisid.layers.interest import Interest
from unisid.layers.transformer import SPREAD, CausalTransformer, start
from unisid.ops.contrast import paired_info_nce
from unisid.ops.next_item import drawn_softmax_loss, sampled_softmax_loss, softmax_loss


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """The sequence model, the alignment, and which vector is the item's. Width and alpha are the paper's."""

    width: Annotated[int, Range(2, 1 << 16)] = 96
    """D, of both kinds of vectors."""
    sequence: Literal["transformer", "din"] = "transformer"
    """What learns from users: a causal transformer over the history, or DIN, the paper's."""
    num_layers: Layers = 2
    """Of the transformer."""
    num_heads: Layers = 2
    """Of the transformer's attention."""
    feedforward_width: Width = 256
    """Inside the transformer's feed-forward parts."""
    dropout: ShareBelowOne = 0.2
    """In the sequence model."""
    loss: Literal["ce", "sampled"] = "ce"
    """Of next items: softmax over all items, or over `num_negatives` of them; DIN always takes the second."""
    num_negatives: Count = 60
    """Items beside the target, drawn uniformly and shared by a step."""
    alpha: NotNegative = 1.0
    """Weight of the alignment. 0: what users do alone, and no item's text is read."""
    temperature: Positive = 0.1
    """Of the alignment. The paper's is 1, under which cosines are almost alike."""
    vector: Literal["behaviour", "mean", "joined"] = "behaviour"
    """What an item is: c_i as in the paper; (c_i + m_i) / 2, ours; or c_i and its own text side by side, each of length
    one, which is no fusion."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(
                f"unger: width {self.width} does not divide into {self.num_heads} heads; num_heads must divide width"
            )

    def build(self, widths: Mapping[str, int]) -> "Unger":
        return Unger(self, widths)


class Unger(SequenceFusion):
    """The item table, the sequence model and the adaption layer of the other modalities; all but the graph are read."""

    def __init__(self, config: Config, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.num_negatives = config.num_negatives
        self.names = tuple(name for name in in_order(widths) if name != GRAPH)
        self.width = config.width + (sum(widths[name] for name in self.names) if config.vector == "joined" else 0)
        self.adapt = nn.Linear(widths[TEXT], config.width)
        self.norm = AdaptiveNorm(config.width)
        # Last and zero at first, so that a fusion of more modalities begins as the fusion without them.
        self.further = nn.ModuleList(nn.Linear(widths[name], config.width, bias=False) for name in self.names[1:])
        for each in self.further.parameters():
            nn.init.zeros_(each)
        self.items: nn.Parameter | None = None
        self.sequence: nn.Module | None = None

    def begin(self, trained: Bool[Tensor, " N"], history_length: int) -> None:
        config = self.config
        self.register_buffer("trained", trained.clone())
        self.items = nn.Parameter(torch.randn(len(trained), config.width) * SPREAD)
        if config.sequence == "din":
            self.sequence = Interest(config.width, history_length, config.dropout)
        else:
            self.sequence = CausalTransformer(
                config.width,
                config.num_layers,
                config.num_heads,
                config.feedforward_width,
                config.dropout,
                history_length,
            )
            start(self.sequence)

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        adapted = self.adapted(items)
        behaviour, learned = adapted, torch.zeros(len(items), dtype=torch.bool, device=adapted.device)
        if items.numbers is not None and self.items is not None:
            known = items.numbers < len(self.items)
            row = torch.where(known, items.numbers, 0)
            learned = known & self.trained[row]
            behaviour = torch.where(learned[:, None], functional.normalize(self.items[row].float(), dim=-1), adapted)
        if self.config.vector == "behaviour":
            return behaviour
        if self.config.vector == "mean":
            return functional.normalize(behaviour + adapted, dim=-1)
        texts = [functional.normalize(items[name].mean().float(), dim=-1) for name in self.names]
        return torch.cat([behaviour * learned[:, None], *texts], -1)

    def adapted(self, items: Items) -> Float[Tensor, "B D"]:
        """m_i, of length one."""
        own = self.adapt.weight.dtype
        mixed = self.adapt(items[TEXT].mean().to(own))
        for name, layer in zip(self.names[1:], self.further, strict=True):
            mixed = mixed + layer(items[name].mean().to(own))
        return functional.normalize(self.norm(mixed).float(), dim=-1)

    def loss(self, batch: Following) -> dict[str, Float[Tensor, ""]]:
        parts = {"next": self.next_loss(batch)}
        if self.config.alpha:
            parts["alignment"] = self.alignment(batch)
        total = parts["next"] + self.config.alpha * parts.get("alignment", torch.zeros_like(parts["next"]))
        return {"loss": total, **parts}

    def chance(self, batch: Following) -> dict[str, Float[Tensor, ""]]:
        found = {"next": batch.own.sum() * torch.tensor(float(len(self._table))).log()}
        if self.config.alpha:
            others = batch.counts.sum() - batch.counts + 1
            found["alignment"] = (batch.own * others.float().log()).sum()
        return found

    def alignment(self, batch: Following) -> Float[Tensor, ""]:
        """L_CKA, summed over this share's targets, with those of all shares as candidates."""
        numbers = batch.items.numbers
        assert numbers is not None
        anchors, candidates = self._table[numbers], self.adapted(batch.items)
        return paired_info_nce(anchors, candidates, batch.counts, batch.own, self.config.temperature)

    def next_loss(self, batch: Following) -> Float[Tensor, ""]:
        """L_next, summed over this share's targets."""
        places = batch.targets != PAD
        targets, table = batch.targets[places], self._table
        negatives = (batch.draws * len(table)).long()
        if isinstance(self.sequence, Interest):
            history, real = self._before(batch.read, places)
            own = self.sequence(history, real, table[targets][:, None])[:, 0]
            others = self.sequence(history, real, table[negatives][None])
            return drawn_softmax_loss(own, others, targets, negatives, len(table))
        assert self.sequence is not None
        states = self.sequence(table[batch.read.clamp(min=0)])[places]
        if self.config.loss == "ce":
            return softmax_loss(states, table, targets)
        return sampled_softmax_loss(states, table, targets, negatives)

    def _before(
        self, read: Int[Tensor, "n T"], places: Bool[Tensor, "n T"]
    ) -> tuple[Float[Tensor, "P T D"], Bool[Tensor, "P T"]]:
        """The vectors of the items up to every place with a target, the latest first, and a mask of the real ones."""
        row, place = places.nonzero(as_tuple=True)
        back = place[:, None] - torch.arange(read.shape[1], device=read.device)
        found = read[row[:, None], back.clamp(min=0)]
        real = (back >= 0) & (found != PAD)
        return self._table[found.clamp(min=0)], real

    @property
    def _table(self) -> Float[Tensor, "N D"]:
        assert self.items is not None, "begin() gives the items their first vectors"
        return self.items
