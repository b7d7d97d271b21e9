"""UQF, the Unified Q-Former: learnable queries read an item's tokens and graph layers in parallel; a gate mixes.

Further modalities are read beside these two, and what they give is added. Their last map begins at zero, so that a
fusion with one more modality begins as the fusion without it, whatever that modality holds (as Flamingo does,
arXiv:2204.14198).

B items, M queries, H heads, D hidden width (d_h = d_q), K graph layers, P padded rows of a modality, W output width
(d_u). UQF thesis, 4.3.2 and listings B.3 to B.7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unisid.bounds import Layers, NotNegative, Range, ShareBelowOne, Width
from unisid.config import identity_where
from unisid.errors import ConfigError
from unisid.fusion import GRAPH, TEXT, FusionConfig, Items, LearnedFusion, in_order
from unisid.fusion.concat import Concat
from unisid.ops.dropout import dropout, seeded
from unisid.ops.ragged import Ragged


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """The shape of a Unified Q-Former, by default that of the thesis's table 5.3; docs/fidelity.md lists the rest."""

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
    attention_dropout: ShareBelowOne = field(
        default=0.0, metadata=identity_where(lambda config: config.attention_dropout > 0)
    )
    """Of the weights of every attention; the thesis's listings have 0.1, its equations none."""
    bias: bool = field(default=False, metadata=identity_where(lambda config: config.bias))
    """Biases in the input projections and in queries, keys and values, as in the thesis's listings; not in its
    equations."""
    feed_forward_order: Literal["activate_first", "drop_first"] = field(
        default="activate_first", metadata=identity_where(lambda config: config.feed_forward_order != "activate_first")
    )
    """Inside the feed-forward net: GELU, then dropout (listing B.4), or dropout, then GELU (equation 4.26)."""
    gate: Literal["learned", "half", "none"] = field(
        default="learned", metadata=identity_where(lambda config: config.gate != "learned")
    )
    """How text T and graph R are mixed: a T + (1 - a) R with a learned a, with a = 1/2, or T + R."""
    order: Literal["parallel", "text_first", "graph_first"] = field(
        default="parallel", metadata=identity_where(lambda config: config.order != "parallel")
    )
    """Whether text and graph are read by the same queries, or the second by queries that the first has changed:
    LN(Q + Drop(T)) where the text is first."""
    graph: Literal["layers", "mean", "last"] = field(
        default="layers", metadata=identity_where(lambda config: config.graph != "layers")
    )
    """What is read of the graph: every propagation layer, their mean, or the last one."""
    text: Literal["tokens", "mean"] = field(
        default="tokens", metadata=identity_where(lambda config: config.text != "tokens")
    )
    """What is read of the text: every token's state, or their mean."""
    start: Literal["random", "concat"] = field(
        default="random", metadata=identity_where(lambda config: config.start != "random")
    )
    """Where the vectors begin: anywhere, as in the thesis; or as the modalities side by side, to which learning adds.
    They are then as wide as all modalities together, and `output_width` is not used."""
    weights: Mapping[str, NotNegative] = field(
        default_factory=dict, metadata=identity_where(lambda config: bool(config.weights))
    )
    """Under `start concat`: what a modality's part is multiplied by, by its name; 1 where it is not named."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(
                f"fusion: width {self.width} does not divide into {self.num_heads} heads; num_heads must divide width"
            )

    def build(self, widths: Mapping[str, int]) -> "UQF":
        if missing := [name for name in (TEXT, GRAPH) if name not in widths]:
            raise ConfigError(
                f"fusion: uqf mixes text and graph, and here is no {' and no '.join(missing)}; give it, "
                "or use another fusion"
            )
        return UQF(self, widths)


class UQF(LearnedFusion):
    """u_i = LN(W_o mean_m Q_m), Q after L layers of `Layer`, from H_text = LN(S W_t) and H_graph = LN(G W_g), and from
    further modalities in the same way; under `start concat`, u_i = [the modalities side by side] + W_o mean_m Q_m with
    W_o zero at first."""

    reads_states: ClassVar[bool] = True

    def __init__(self, config: Config, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.beside = Concat(widths, config.weights) if config.start == "concat" else None
        self.config, inner, self.width = config, config.width, config.output_width
        if self.beside is not None:
            self.width = self.beside.width
        text_width, graph_width = widths[TEXT], widths[GRAPH]
        self.queries = nn.Parameter(torch.randn(config.num_queries, inner) * 0.02)
        self.text_in = nn.Sequential(nn.Linear(text_width, inner, bias=config.bias), nn.LayerNorm(inner))
        self.graph_in = nn.Sequential(nn.Linear(graph_width, inner, bias=config.bias), nn.LayerNorm(inner))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.out: nn.Module = nn.Sequential(nn.Linear(inner, self.width), nn.LayerNorm(self.width))
        if self.beside is not None:
            self.out = _nothing_at_first(nn.Linear(inner, self.width))
        self.text_decoder = _decoder(self.width, 2 * self.width, text_width)
        self.graph_decoder = _decoder(self.width, self.width // 2, graph_width)
        # Last, so that all weights above are drawn as they are without these.
        self.names = in_order(widths)[2:]
        self.further = nn.ModuleList(Further(config, widths[name], self.width) for name in self.names)

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        added = self._added(self._read_of(items)).float()
        return added if self.beside is None else self.beside(items) + added

    def _added(self, items: Items) -> Float[Tensor, "B W"]:
        """W_o mean_m Q_m."""
        own = self.queries.dtype
        text = self.text_in(items[TEXT].values.to(own))
        graph = self.graph_in(items[GRAPH].values.to(own))
        further = {name: each.enter(items[name].values.to(own)) for name, each in self._each()}
        queries = self.queries[None]  # one for all items, until the first cross-attention makes them differ
        for number, layer in enumerate(self.layers):
            reads = [(cast(Read, each.reads[number]), items[name], further[name]) for name, each in self._each()]
            queries = layer(queries, items, text, graph, reads, None if number else items.seed)
        vectors: Tensor = self.out(queries.mean(dim=1))
        return vectors

    def _read_of(self, items: Items) -> Items:
        """The items with what is read of text and graph alone."""
        shown = dict(items.modalities)
        if self.config.text == "mean":
            shown[TEXT] = Ragged.rectangle(items[TEXT].mean()[:, None])
        if self.config.graph != "layers":
            graph = items[GRAPH]
            shown[GRAPH] = Ragged.rectangle((graph.mean() if self.config.graph == "mean" else graph.last())[:, None])
        return replace(items, modalities=shown)

    def reconstruct(self, vectors: Float[Tensor, "B W"]) -> dict[str, Float[Tensor, "B _"]]:
        decoders = {TEXT: self.text_decoder, GRAPH: self.graph_decoder}
        decoders |= {name: each.decoder for name, each in self._each()}
        return {name: decoder(vectors).float() for name, decoder in decoders.items()}

    def _each(self) -> list[tuple[str, "Further"]]:
        """The further modalities by name, and what reads them."""
        return [(name, cast(Further, each)) for name, each in zip(self.names, self.further, strict=True)]


class Further(nn.Module):
    """All that a modality beside text and graph needs: the way in, one `Read` a layer, and a decoder."""

    def __init__(self, config: Config, width: int, vector: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(width, config.width, bias=config.bias), nn.LayerNorm(config.width))
        self.reads = nn.ModuleList(Read(config) for _ in range(config.num_layers))
        self.decoder = _decoder(vector, vector, width)


class Read(nn.Module):
    """W_o MHA(Q, H) of one modality in one layer, with W_o zero at first."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_heads, self.rate, width = config.num_heads, config.attention_dropout, config.width
        self.ask = nn.Linear(width, width, bias=config.bias)
        self.rows = nn.Linear(width, 2 * width, bias=config.bias)  # keys and values
        self.out = _nothing_at_first(nn.Linear(width, width))

    def forward(
        self, queries: Float[Tensor, "B M D"], ragged: Ragged, rows: Float[Tensor, "P D"]
    ) -> Float[Tensor, "B M D"]:
        (ask,) = _heads(self.ask(queries), 1, self.num_heads)
        read: Tensor = self.out(
            _read(ask, ragged, self.rows(rows), self.num_heads, self.rate if self.training else 0.0)
        )
        return read


Reads = Sequence[tuple[Read, Ragged, Float[Tensor, "_ D"]]]
"""Of each further modality in one layer: what reads it, how its rows lie, and the rows [P, D]."""


class Layer(nn.Module):
    """Self-attention, two cross-attentions in parallel, a gate, a feed-forward net.

    Q <- LN(Q + Drop(MHA_self(Q)));  T = MHA_text(Q, H_text), R = MHA_graph(Q, H_graph);
    a = sigmoid(W_a [T; R] + b);  Q <- LN(Q + Drop(a T + (1 - a) R + X));  Q <- LN(Q + FFN(Q)),
    where X is the sum of what `Read` gives of every further modality.

    In the first layer the queries are the same for every item: all before the cross-attention is computed for one
    item, with one dropout mask a step, which is the same on all workers.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.num_heads, width, bias = config, config.num_heads, config.width, config.bias
        self.self_in = nn.Linear(width, 3 * width, bias=bias)
        self.self_out = nn.Linear(width, width)
        self.self_norm = nn.LayerNorm(width)
        self.cross_in = nn.Linear(width, 2 * width, bias=bias)  # attention of the queries to the text, and to the graph
        self.text_in = nn.Linear(width, 2 * width, bias=bias)  # keys and values
        self.graph_in = nn.Linear(width, 2 * width, bias=bias)
        self.text_out = nn.Linear(width, width)
        self.graph_out = nn.Linear(width, width)
        self.gate = nn.Linear(2 * width, width) if config.gate == "learned" else None
        self.cross_norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.between_norm = nn.LayerNorm(width) if config.order != "parallel" else None

    def forward(
        self,
        queries: Float[Tensor, "_ M D"],
        items: Items,
        text: Float[Tensor, "P D"],
        graph: Float[Tensor, "Q D"],
        further: Reads = (),
        seed: int | None = None,
    ) -> Float[Tensor, "B M D"]:
        """`seed` decides what is dropped before the cross-attention; None: torch's own state does."""
        ask, keys, values = _heads(self.self_in(queries), 3, self.num_heads)
        with seeded(seed, queries.device):
            attended = self.self_out(_attend(ask, keys, values, rate=self._attention_rate))
            queries = self.self_norm(queries + self._drop(attended))

        mixed = self._mixed(*self._texts_and_graphs(queries, items, text, graph))
        for read, ragged, rows in further:
            mixed = mixed + read(queries.expand(len(items), -1, -1), ragged, rows)
        queries = self.cross_norm(queries + self._drop(mixed))

        if self.config.feed_forward_order == "drop_first":
            inner = self.narrow(F.gelu(self._drop(self.widen(queries))))
        else:
            inner = self.narrow(self._drop(F.gelu(self.widen(queries))))
        return self.feed_forward_norm(queries + self._drop(inner))

    def _texts_and_graphs(
        self, queries: Float[Tensor, "_ M D"], items: Items, text: Float[Tensor, "P D"], graph: Float[Tensor, "Q D"]
    ) -> tuple[Float[Tensor, "B M D"], Float[Tensor, "B M D"]]:
        """T and R, read by the same queries or one after the other."""

        def asking(queries: Float[Tensor, "_ M D"]) -> Sequence[Float[Tensor, "B H M _"]]:
            return _heads(self.cross_in(queries).expand(len(items), -1, -1), 2, self.num_heads)

        def of_text(ask: Float[Tensor, "B H M _"]) -> Float[Tensor, "B M D"]:
            rows = self.text_in(text)
            return cast(Tensor, self.text_out(_read(ask, items[TEXT], rows, self.num_heads, self._attention_rate)))

        def of_graph(ask: Float[Tensor, "B H M _"]) -> Float[Tensor, "B M D"]:
            rows = self.graph_in(graph)
            return cast(Tensor, self.graph_out(_read(ask, items[GRAPH], rows, self.num_heads, self._attention_rate)))

        ask_text, ask_graph = asking(queries)
        if self.between_norm is None:
            return of_text(ask_text), of_graph(ask_graph)
        if self.config.order == "text_first":
            from_text = of_text(ask_text)
            return from_text, of_graph(asking(self.between_norm(queries + self._drop(from_text)))[1])
        from_graph = of_graph(ask_graph)
        return of_text(asking(self.between_norm(queries + self._drop(from_graph)))[0]), from_graph

    def _mixed(self, from_text: Float[Tensor, "B M D"], from_graph: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        """a T + (1 - a) R by the gate, or T + R."""
        if self.gate is None:
            return from_text + from_graph if self.config.gate == "none" else (from_text + from_graph) / 2
        for_text, for_graph = self.gate.weight.chunk(2, dim=1)  # W_a [T; R] without copying T and R together
        gate = torch.sigmoid(F.linear(from_text, for_text, self.gate.bias) + F.linear(from_graph, for_graph))
        return torch.lerp(from_graph, from_text, gate)

    @property
    def _attention_rate(self) -> float:
        return self.config.attention_dropout if self.training else 0.0

    def _drop(self, values: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        return dropout(values, self.config.dropout if self.training else 0.0)


def _read(
    ask: Float[Tensor, "B H M _"], ragged: Ragged, rows: Float[Tensor, "P _"], num_heads: int, rate: float = 0.0
) -> Float[Tensor, "B M D"]:
    """Attention to every item's own rows, bucket by bucket."""
    read = []
    for own, shown, mask in zip(ragged.in_buckets(ask), ragged.split(rows), ragged.masks, strict=True):
        keys, values = _heads(shown, 2, num_heads)
        read.append(_attend(own, keys, values, mask, rate))
    return ragged.of_items(torch.cat(read))


def _heads(joined: Float[Tensor, "B T _"], parts: int, num_heads: int) -> Sequence[Float[Tensor, "B H T _"]]:
    """Several projections side by side -> each as [B, H, T, D / H], all of them views."""
    return [part.unflatten(-1, (num_heads, -1)).transpose(1, 2) for part in joined.chunk(parts, dim=-1)]


def _attend(
    queries: Float[Tensor, "B H M _"],
    keys: Float[Tensor, "B H T _"],
    values: Float[Tensor, "B H T _"],
    mask: Bool[Tensor, "B T"] | None = None,
    rate: float = 0.0,
) -> Float[Tensor, "B M D"]:
    """The fused kernel; heads joined again."""
    shown = None if mask is None else mask[:, None, None, :]
    return (
        F.scaled_dot_product_attention(queries, keys, values, attn_mask=shown, dropout_p=rate)
        .transpose(1, 2)
        .flatten(2)
    )


def _nothing_at_first(linear: nn.Linear) -> nn.Linear:
    """The map, with zero weights."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _decoder(width: int, hidden: int, target: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, target))
