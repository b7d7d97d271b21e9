"""One UQF training step, beside the plain form: three encodings, everything padded to 64 tokens, unfused attention.

The plain form is that of the UQF thesis's listings (B.3 to B.8), with padding masked: it is what both sides must
agree with. It is given this package's weights, so that with dropout off both losses must be equal; both are then
timed with the settings' dropout, forward and backward pass, in turn, and the medians compared.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisid.fusion.uqf import UQF, Config, Layer
from unisid.ops.contrast import info_nce
from unisid.stages.fused.reading import KEPT, Known, Rows

PADDED = 64
TEXT_DROPPED, GRAPH_DROPPED = 1, 2
TEXT, GRAPH, LAYERS = 384, 64, 6
TEMPERATURE, RECONSTRUCTION = 0.05, 0.2


class Plain(nn.Module):
    """The listings' model, with the weights of a `UQF`; what the listings add beyond those (biases) is zero."""

    def __init__(self, fast: UQF, rate: float) -> None:
        super().__init__()
        self.fast = fast
        self.layers = nn.ModuleList(PlainLayer(cast(Layer, layer), rate) for layer in fast.layers)

    def forward(self, text: Tensor, mask: Tensor, graph: Tensor) -> Tensor:
        h_text, h_graph = self.fast.text_in(text), self.fast.graph_in(graph)
        queries = self.fast.queries.expand(len(text), -1, -1)
        for layer in self.layers:
            queries = layer(queries, h_text, mask, h_graph)
        out: Tensor = self.fast.out(queries.mean(dim=1))
        return out


class PlainLayer(nn.Module):
    """Listing B.4: torch's own multi-head attention first, then two of `CrossAttention`, gate and feed-forward net."""

    def __init__(self, fast: Layer, rate: float) -> None:
        super().__init__()
        width = fast.self_out.in_features
        self.drop = nn.Dropout(rate)
        self.self_attn = nn.MultiheadAttention(width, fast.num_heads, dropout=rate, batch_first=True)
        self.self_attn.in_proj_weight = cast(nn.Parameter, fast.self_in.weight)
        self.self_attn.out_proj = fast.self_out  # type: ignore[assignment]
        ask_text, ask_graph = fast.cross_in.weight.chunk(2)
        self.text = CrossAttention(ask_text, fast.text_in.weight, fast.text_out, fast.num_heads, rate)
        self.graph = CrossAttention(ask_graph, fast.graph_in.weight, fast.graph_out, fast.num_heads, rate)
        self.gate, self.self_norm, self.cross_norm = fast.gate, fast.self_norm, fast.cross_norm
        self.widen, self.narrow, self.feed_forward_norm = fast.widen, fast.narrow, fast.feed_forward_norm

    def forward(self, queries: Tensor, text: Tensor, mask: Tensor, graph: Tensor) -> Tensor:
        seen, _ = self.self_attn(queries, queries, queries)
        queries = self.self_norm(queries + self.drop(seen))
        from_text, from_graph = self.text(queries, text, mask), self.graph(queries, graph)
        gate = torch.sigmoid(self.gate(torch.cat([from_text, from_graph], dim=-1)))
        queries = self.cross_norm(queries + self.drop(gate * from_text + (1 - gate) * from_graph))
        inner = self.narrow(self.drop(F.gelu(self.widen(queries))))
        normed: Tensor = self.feed_forward_norm(queries + self.drop(inner))
        return normed


class CrossAttention(nn.Module):
    """Listing B.3: three projections one by one, a softmax that is written out, dropout on masked weights."""

    def __init__(self, ask: Tensor, read: Tensor, out: nn.Module, num_heads: int, rate: float) -> None:
        super().__init__()
        self.num_heads, self.out_proj, self.drop = num_heads, out, nn.Dropout(rate)
        self.q_proj, self.k_proj, self.v_proj = (_linear(weight) for weight in (ask, *read.chunk(2)))

    def forward(self, queries: Tensor, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        ask, keys, values = (
            project(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for project, x in ((self.q_proj, queries), (self.k_proj, rows), (self.v_proj, rows))
        )
        weights = ask @ keys.transpose(-2, -1) / ask.shape[-1] ** 0.5
        if mask is not None:
            weights = weights.masked_fill(~mask[:, None, None, :], float("-inf"))
        weights = self.drop(weights.softmax(dim=-1))
        out: Tensor = self.out_proj((weights @ values).transpose(1, 2).flatten(2))
        return out


def _linear(weight: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data, made.bias.data = weight.detach().clone(), torch.zeros(weight.shape[0])
    return made


@dataclasses.dataclass(frozen=True)
class Draw:
    """A catalogue held in memory, and a batch of it: the items of the anchors and of both kinds of positives."""

    known: Known
    items: tuple[np.ndarray, np.ndarray, np.ndarray]
    hidden: np.ndarray
    targets: dict[str, Tensor]
    """What is to be reconstructed of the anchors."""


def draw(lengths: np.ndarray, batch: int, seed: int = 0) -> Draw:
    """Random states for items of the given token counts; each anchor with two random positives."""
    rng = np.random.default_rng(seed)
    counts = torch.from_numpy(lengths)
    tokens = rng.normal(size=(lengths.sum(), TEXT)).astype(np.float16)
    graph = rng.normal(size=(len(lengths) * LAYERS, GRAPH)).astype(np.float32)
    known = Known(
        {
            "text": Rows(torch.from_numpy(tokens), counts),
            "graph": Rows(torch.from_numpy(graph), torch.full_like(counts, LAYERS), each=LAYERS),
        },
        torch.arange(len(lengths)),
    )
    anchors = rng.permutation(len(lengths))[:batch]
    structure, semantic = rng.integers(0, len(lengths), (2, batch))
    chance = rng.random(batch)
    hidden = np.select([chance < 0.1, chance < 0.2], [TEXT_DROPPED, GRAPH_DROPPED], KEPT).astype(np.int64)
    targets = {name: mean[torch.from_numpy(anchors)] for name, mean in known.means().items()}
    return Draw(known, (anchors, structure, semantic), hidden, targets)


def fast_step(model: UQF, drawn: Draw) -> Tensor:
    """Every distinct (item, what is hidden) once, in one forward pass over tokens in buckets."""
    hidden = np.concatenate([drawn.hidden, np.zeros(2 * len(drawn.hidden), np.int64)])
    distinct, which = np.unique(np.concatenate(drawn.items) * 3 + hidden, return_inverse=True)
    items, place = drawn.known.view(distinct // 3, distinct % 3)
    return _loss(model, model(items)[torch.from_numpy(place[which])].chunk(3), drawn)


def plain_step(model: Plain, drawn: Draw) -> Tensor:
    """Anchors, structure positives and semantic positives, each padded to 64 tokens and encoded by itself."""
    known = drawn.known.modalities["text"]
    layers = drawn.known.modalities["graph"].values.view(-1, LAYERS, GRAPH)
    starts = known.lengths.cumsum(0) - known.lengths
    encoded = []
    for kind, items in enumerate(drawn.items):
        text = torch.zeros(len(items), PADDED, TEXT)
        for row, item in enumerate(items):
            count = int(known.lengths[item])
            text[row, :count] = known.values[int(starts[item]) : int(starts[item]) + count]
        mask = torch.arange(PADDED) < known.lengths[torch.from_numpy(items)][:, None]
        graph = layers[torch.from_numpy(items)].clone()
        if kind == 0:
            text[torch.from_numpy(drawn.hidden == TEXT_DROPPED)] = 0
            graph[torch.from_numpy(drawn.hidden == GRAPH_DROPPED)] = 0
        encoded.append(model(text, mask, graph))
    return _loss(model.fast, encoded, drawn)


def _loss(model: UQF, encoded: Any, drawn: Draw) -> Tensor:
    anchors, structure, semantic = encoded
    own, none = torch.arange(len(anchors)), torch.zeros(len(anchors), len(anchors), dtype=torch.bool)
    missed = torch.stack([F.mse_loss(found, drawn.targets[name]) for name, found in model.reconstruct(anchors).items()])
    near = 0.4 * info_nce(anchors, structure, own, none, TEMPERATURE)
    return near + 0.6 * info_nce(anchors, semantic, own, none, TEMPERATURE) + RECONSTRUCTION * missed.sum()


def compare(lengths: np.ndarray, config: Config, batch: int, repeats: int) -> dict[str, float]:
    """Losses equal first, then the median seconds of a step of either side, and their ratio."""
    torch.manual_seed(0)
    fast = config.build({"text": TEXT, "graph": GRAPH})
    plain = Plain(fast, config.dropout)
    drawn = draw(lengths, batch)
    with torch.no_grad():
        ours, theirs = fast_step(fast.eval(), drawn).item(), plain_step(plain.eval(), drawn).item()
    assert abs(ours - theirs) <= 1e-4 * abs(theirs), f"losses differ: {ours} and {theirs}"
    fast.train()
    plain.train()
    seconds: dict[str, list[float]] = {"fast": [], "plain": []}
    sides: dict[str, Callable[[], Tensor]] = {
        "fast": lambda: fast_step(fast, drawn),
        "plain": lambda: plain_step(plain, drawn),
    }
    for _ in range(repeats + 1):
        for name, side in sides.items():
            fast.zero_grad()
            begun = time.perf_counter()
            side().backward()
            seconds[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first one warms up
    return {
        "loss": ours,
        "mean_tokens": float(lengths.mean()),
        "plain_seconds": medians["plain"],
        "fast_seconds": medians["fast"],
        "ratio": medians["plain"] / medians["fast"],
    }


def main(width: int = 256, batch: int = 128, repeats: int = 5) -> dict[str, Any]:
    """Titles of a MiniLM's usual 8 to 12 tokens with a longer tail; those of a catalogue so small that the items of a
    step repeat; and texts that fill all 64."""
    config = Config(width=width, output_width=width, num_heads=width // 32)
    rng = np.random.default_rng(0)
    titles = np.clip(rng.lognormal(2.25, 0.35, 4096).round().astype(np.int64), 4, 40)
    full = np.full(1024, PADDED)
    return {
        "threads": torch.get_num_threads(),
        "width": width,
        "batch": batch,
        "titles": compare(titles, config, batch, repeats),
        "small_catalogue": compare(titles[:1349], config, 2 * batch, max(1, repeats // 2)),
        "full_length": compare(full, config, batch, max(1, repeats // 2)),
    }


if __name__ == "__main__":
    for key, value in main().items():
        print(key, value)
