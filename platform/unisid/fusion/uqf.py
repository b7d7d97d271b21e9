"""UQF, the Unified Q-Former: learnable queries read an item's tokens and graph layers in parallel; a gate mixes.

Further modalities are read beside these two, and what they give is added. Their last map begins at zero, so that a
fusion with one more modality begins as the fusion without it, whatever that modality holds (as Flamingo does,
arXiv:2204.14198).

B items, M queries, H heads, D hidden width (d_h = d_q), K graph layers, P padded rows of a modality, W output width
(d_u). UQF thesis, 4.3.2 and listings B.3 to B.7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unisid.bounds import Layers, Range, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.fusion import GRAPH, TEXT, FusionConfig, Items, LearnedFusion, in_order
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

    def build(self, widths: Mapping[str, int]) -> "UQF":
        if missing := [name for name in (TEXT, GRAPH) if name not in widths]:
            raise ConfigError(f"fusion: uqf mixes text and graph, and here is no {' and no '.join(missing)}; give it, "
                              "or use another fusion")  # fmt: skip
        return UQF(self, widths)


class UQF(LearnedFusion):
    """u_i = LN(W_o mean_m Q_m), Q after L layers of `Layer`, from H_text = LN(S W_t) and H_graph = LN(G W_g), and from
    further modalities in the same way."""

    reads_states: ClassVar[bool] = True

    def __init__(self, config: Config, widths: Mapping[str, int]) -> None:
        super().__init__()
        inner, self.width = config.width, config.output_width
        text_width, graph_width = widths[TEXT], widths[GRAPH]
        self.queries = nn.Parameter(torch.randn(config.num_queries, inner) * 0.02)
        self.text_in = nn.Sequential(nn.Linear(text_width, inner, bias=False), nn.LayerNorm(inner))
        self.graph_in = nn.Sequential(nn.Linear(graph_width, inner, bias=False), nn.LayerNorm(inner))
        self.layers = nn.ModuleList(Layer(inner, config.num_heads, config.dropout) for _ in range(config.num_layers))
        self.out = nn.Sequential(nn.Linear(inner, self.width), nn.LayerNorm(self.width))
        self.text_decoder = _decoder(self.width, 2 * self.width, text_width)
        self.graph_decoder = _decoder(self.width, self.width // 2, graph_width)
        # Last, so that all weights above are drawn as they are without these.
        self.names = in_order(widths)[2:]
        self.further = nn.ModuleList(Further(config, widths[name]) for name in self.names)

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        own = self.queries.dtype
        text = self.text_in(items[TEXT].values.to(own))
        graph = self.graph_in(items[GRAPH].values.to(own))
        further = {name: each.enter(items[name].values.to(own)) for name, each in self._each()}
        queries = self.queries[None]  # one for all items, until the first cross-attention tells them apart
        for number, layer in enumerate(self.layers):
            reads = [(cast(Read, each.reads[number]), items[name], further[name]) for name, each in self._each()]
            queries = layer(queries, items, text, graph, reads)
        vectors: Tensor = self.out(queries.mean(dim=1))
        return vectors.float()

    def reconstruct(self, vectors: Float[Tensor, "B W"]) -> dict[str, Float[Tensor, "B _"]]:
        decoders = {TEXT: self.text_decoder, GRAPH: self.graph_decoder}
        decoders |= {name: each.decoder for name, each in self._each()}
        return {name: decoder(vectors).float() for name, decoder in decoders.items()}

    def _each(self) -> list[tuple[str, "Further"]]:
        """The further modalities by name, and what reads them."""
        return [(name, cast(Further, each)) for name, each in zip(self.names, self.further, strict=True)]


class Further(nn.Module):
    """All that a modality beside text and graph needs: the way in, one `Read` a layer, and a decoder."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(width, config.width, bias=False), nn.LayerNorm(config.width))
        self.reads = nn.ModuleList(Read(config.width, config.num_heads) for _ in range(config.num_layers))
        self.decoder = _decoder(config.output_width, config.output_width, width)


class Read(nn.Module):
    """W_o MHA(Q, H) of one modality in one layer, with W_o zero at first."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ask = nn.Linear(width, width, bias=False)
        self.rows = nn.Linear(width, 2 * width, bias=False)  # keys and values
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, queries: Float[Tensor, "B M D"], ragged: Ragged, rows: Float[Tensor, "P D"]
    ) -> Float[Tensor, "B M D"]:
        (ask,) = _heads(self.ask(queries), 1, self.num_heads)
        read: Tensor = self.out(_read(ask, ragged, self.rows(rows), self.num_heads))
        return read


Reads = Sequence[tuple[Read, Ragged, Tensor]]
"""Of each further modality in one layer: what reads it, how its rows lie, and the rows [P, D]."""


class Layer(nn.Module):
    """Self-attention, two cross-attentions in parallel, a gate, a feed-forward net.

    Q <- LN(Q + Drop(MHA_self(Q)));  T = MHA_text(Q, H_text), R = MHA_graph(Q, H_graph);
    a = sigmoid(W_a [T; R] + b);  Q <- LN(Q + Drop(a T + (1 - a) R + X));  Q <- LN(Q + FFN(Q)),
    where X is the sum of what `Read` gives of every further modality.

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
        self, queries: Float[Tensor, "_ M D"], items: Items, text: Float[Tensor, "P D"], graph: Float[Tensor, "Q D"],
        further: Reads = (),
    ) -> Float[Tensor, "B M D"]:  # fmt: skip
        ask, keys, values = _heads(self.self_in(queries), 3, self.num_heads)
        attended = self.self_out(_attend(ask, keys, values))
        queries = self.self_norm(queries + self._drop(attended))

        ask_text, ask_graph = _heads(self.cross_in(queries).expand(len(items), -1, -1), 2, self.num_heads)
        from_text = self.text_out(_read(ask_text, items[TEXT], self.text_in(text), self.num_heads))
        from_graph = self.graph_out(_read(ask_graph, items[GRAPH], self.graph_in(graph), self.num_heads))
        for_text, for_graph = self.gate.weight.chunk(2, dim=1)  # W_a [T; R] without copying T and R together
        gate = torch.sigmoid(F.linear(from_text, for_text, self.gate.bias) + F.linear(from_graph, for_graph))
        mixed = torch.lerp(from_graph, from_text, gate)
        for read, ragged, rows in further:
            mixed = mixed + read(queries.expand(len(items), -1, -1), ragged, rows)
        queries = self.cross_norm(queries + self._drop(mixed))

        inner = self.narrow(self._drop(F.gelu(self.widen(queries))))
        return self.feed_forward_norm(queries + self._drop(inner))

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate if self.training else 0.0)


def _read(ask: Float[Tensor, "B H M _"], ragged: Ragged, rows: Float[Tensor, "P _"], num_heads: int) -> Tensor:
    """Attention to every item's own rows, bucket by bucket."""
    read = []
    for own, shown, mask in zip(ragged.asked(ask), ragged.split(rows), ragged.masks, strict=True):
        keys, values = _heads(shown, 2, num_heads)
        read.append(_attend(own, keys, values, mask))
    return ragged.of_items(torch.cat(read))


def _heads(joined: Float[Tensor, "B T _"], parts: int, num_heads: int) -> Sequence[Tensor]:
    """Several projections side by side -> each as [B, H, T, D / H], all of them views."""
    return [part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in joined.chunk(parts, dim=-1)]


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """The fused kernel; heads joined again: [B, M, D]."""
    shown = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=shown).transpose(1, 2).flatten(2)


def _decoder(width: int, hidden: int, target: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, target))
