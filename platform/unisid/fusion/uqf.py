"""UQF, the Unified Q-Former: learnable queries read an item's tokens and graph layers in parallel; a gate mixes.

B items, M queries, H heads, D hidden width (d_h = d_q), K graph layers, P padded token rows, S text width,
G graph width, W output width (d_u). UQF thesis, 4.3.2 and listings B.3 to B.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unisid.bounds import Layers, Range, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.fusion import FusionConfig, Items, LearnedFusion
from unisid.ops.dropout import dropout
from unisid.ops.ragged import Ragged


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """The shape of a Unified Q-Former; the defaults are the thesis's."""

    num_queries: Width = 16
    """M, the learnable queries of an item."""
    width: Width = 1024
    """d_h and d_q, the width inside."""
    output_width: Annotated[int, Range(2, 1 << 20)] = 1024
    """d_u, the width of the fused vector."""
    num_layers: Layers = 4
    """L, each of self-attention, two cross-attentions, a gate and a feed-forward net."""
    num_heads: Layers = 16
    """H, heads of every attention; must divide the width."""
    dropout: ShareBelowOne = 0.1
    """After self-attention, after the gate, and after both linear maps of the feed-forward net."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"fusion: width {self.width} does not divide into {self.num_heads} heads; "
                              "num_heads must divide width")  # fmt: skip

    def build(self, text_width: int, graph_width: int) -> "UQF":
        return UQF(self, text_width, graph_width)


class UQF(LearnedFusion):
    """u_i = LN(W_o mean_m Q_m), Q after L layers of `Layer`, from H_text = LN(S W_t) and H_graph = LN(G W_g)."""

    reads_states: ClassVar[bool] = True

    def __init__(self, config: Config, text_width: int, graph_width: int) -> None:
        super().__init__()
        inner, self.width = config.width, config.output_width
        self.queries = nn.Parameter(torch.randn(config.num_queries, inner) * 0.02)
        self.text_in = nn.Sequential(nn.Linear(text_width, inner, bias=False), nn.LayerNorm(inner))
        self.graph_in = nn.Sequential(nn.Linear(graph_width, inner, bias=False), nn.LayerNorm(inner))
        self.layers = nn.ModuleList(Layer(inner, config.num_heads, config.dropout) for _ in range(config.num_layers))
        self.out = nn.Sequential(nn.Linear(inner, self.width), nn.LayerNorm(self.width))
        self.text_decoder = _decoder(self.width, 2 * self.width, text_width)
        self.graph_decoder = _decoder(self.width, self.width // 2, graph_width)

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        text = self.text_in(items.text.values.to(self.queries.dtype))
        graph = self.graph_in(items.graph)
        queries = self.queries[None]  # one for all items, until the first cross-attention tells them apart
        for layer in self.layers:
            queries = layer(queries, items.text, text, graph)
        vectors: Tensor = self.out(queries.mean(dim=1))
        return vectors.float()

    def reconstruct(self, vectors: Float[Tensor, "B W"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B G"]]:
        return self.text_decoder(vectors).float(), self.graph_decoder(vectors).float()


class Layer(nn.Module):
    """Self-attention, two cross-attentions in parallel, a gate, a feed-forward net.

    Q <- LN(Q + Drop(MHA_self(Q)));  T = MHA_text(Q, H_text), R = MHA_graph(Q, H_graph);
    a = sigmoid(W_a [T; R] + b);  Q <- LN(Q + Drop(a T + (1 - a) R));  Q <- LN(Q + FFN(Q)).

    In the first layer the queries are the same for every item: all before the cross-attention is computed for one
    item, with one dropout mask a step.
    """

    def __init__(self, width: int, num_heads: int, rate: float) -> None:
        super().__init__()
        self.num_heads, self.rate = num_heads, rate
        # No biases in: a key's changes no attention, a value's is the output map's, a query's the norm's before it.
        self.self_in = nn.Linear(width, 3 * width, bias=False)
        self.self_out = nn.Linear(width, width)
        self.self_norm = nn.LayerNorm(width)
        self.cross_in = nn.Linear(width, 2 * width, bias=False)  # what the queries ask of the text, and of the graph
        self.text_in = nn.Linear(width, 2 * width, bias=False)  # keys and values
        self.graph_in = nn.Linear(width, 2 * width, bias=False)
        self.text_out = nn.Linear(width, width)
        self.graph_out = nn.Linear(width, width)
        self.gate = nn.Linear(2 * width, width)
        self.cross_norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(
        self, queries: Float[Tensor, "_ M D"], ragged: Ragged, text: Float[Tensor, "P D"], graph: Float[Tensor, "B K D"]
    ) -> Float[Tensor, "B M D"]:
        ask, keys, values = self._heads(self.self_in(queries), 3)
        attended = self.self_out(_attend(ask, keys, values))
        queries = self.self_norm(queries + self._drop(attended))

        ask_text, ask_graph = self._heads(self.cross_in(queries).expand(len(graph), -1, -1), 2)
        from_text = self.text_out(self._read_text(ask_text, ragged, self.text_in(text)))
        keys, values = self._heads(self.graph_in(graph), 2)
        from_graph = self.graph_out(_attend(ask_graph, keys, values))
        for_text, for_graph = self.gate.weight.chunk(2, dim=1)  # W_a [T; R] without copying T and R together
        gate = torch.sigmoid(F.linear(from_text, for_text, self.gate.bias) + F.linear(from_graph, for_graph))
        queries = self.cross_norm(queries + self._drop(torch.lerp(from_graph, from_text, gate)))

        inner = self.narrow(self._drop(F.gelu(self.widen(queries))))
        return self.feed_forward_norm(queries + self._drop(inner))

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate if self.training else 0.0)

    def _read_text(self, ask: Float[Tensor, "B H M _"], ragged: Ragged, text: Float[Tensor, "P _"]) -> Tensor:
        """Attention to every item's own tokens, bucket by bucket."""
        asks = ask.split([items for items, _ in ragged.shapes])
        read = []
        for own, rows, mask in zip(asks, ragged.split(text), ragged.masks, strict=True):
            keys, values = self._heads(rows, 2)
            read.append(_attend(own, keys, values, mask))
        return torch.cat(read)

    def _heads(self, joined: Float[Tensor, "B T _"], parts: int) -> Sequence[Tensor]:
        """Several projections side by side -> each as [B, H, T, D / H], all of them views."""
        return [part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in joined.chunk(parts, dim=-1)]


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """The fused kernel; heads joined again: [B, M, D]."""
    shown = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=shown).transpose(1, 2).flatten(2)


def _decoder(width: int, hidden: int, target: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, target))
