"""UQF for a single item: no batches, no buckets, no fused kernels; one head, one query, one token at a time.

The form of the listings: every token of a dropped modality is zero and is attended to.
"""

import torch
from torch import Tensor

from unisid.fusion.uqf import UQF, Layer


def forward(model: UQF, text: Tensor, graph: Tensor) -> Tensor:
    """The vector of one item from its token states [n, S] and graph layers [K, G]."""
    h_text = torch.stack([_norm(model.text_in[1], model.text_in[0].weight @ s) for s in text])
    h_graph = torch.stack([_norm(model.graph_in[1], model.graph_in[0].weight @ g) for g in graph])
    queries = list(model.queries)
    for layer in model.layers:
        queries = _layer(layer, queries, h_text, h_graph)
    pooled = sum(queries) / len(queries)
    return _norm(model.out[1], _linear(model.out[0], pooled))


def _layer(layer: Layer, queries: list[Tensor], h_text: Tensor, h_graph: Tensor) -> list[Tensor]:
    width = len(queries[0])
    own = torch.stack(queries)
    asks = layer.self_in.weight.split(width)
    after = []
    for q in queries:
        keys, values = own @ asks[1].T, own @ asks[2].T
        seen = _attend(asks[0] @ q, keys, values, layer.num_heads)
        after.append(_norm(layer.self_norm, q + _linear(layer.self_out, seen)))
    fused = []
    for q in after:
        ask_text, ask_graph = (layer.cross_in.weight @ q).split(width)
        from_text = _read(layer.text_in, layer.text_out, ask_text, h_text, layer.num_heads)
        from_graph = _read(layer.graph_in, layer.graph_out, ask_graph, h_graph, layer.num_heads)
        gate = 1 / (1 + torch.exp(-_linear(layer.gate, torch.cat([from_text, from_graph]))))
        q = _norm(layer.cross_norm, q + gate * from_text + (1 - gate) * from_graph)
        inner = _linear(layer.widen, q)
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        fused.append(_norm(layer.feed_forward_norm, q + _linear(layer.narrow, inner)))
    return fused


def _read(project: torch.nn.Linear, out: torch.nn.Linear, ask: Tensor, rows: Tensor, num_heads: int) -> Tensor:
    both = torch.stack([project.weight @ row for row in rows])
    keys, values = both.split(len(ask), dim=1)
    return _linear(out, _attend(ask, keys, values, num_heads))


def _attend(ask: Tensor, keys: Tensor, values: Tensor, num_heads: int) -> Tensor:
    size = len(ask) // num_heads
    heads = []
    for h in range(num_heads):
        part = slice(h * size, (h + 1) * size)
        scores = torch.stack([(ask[part] * key[part]).sum() / size**0.5 for key in keys])
        weights = torch.exp(scores - scores.max())
        weights = weights / weights.sum()
        heads.append(sum(w * value[part] for w, value in zip(weights, values, strict=True)))
    return torch.cat(heads)


def _linear(module: torch.nn.Linear, x: Tensor) -> Tensor:
    return module.weight @ x + module.bias


def _norm(module: torch.nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + module.eps) * module.weight + module.bias
