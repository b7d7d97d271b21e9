"""T5's mathematics over the weights of a transformers T5, written for short targets and many beams.

The encoder runs once a user; each decoder layer's cross-attention keys and values are made once a user and shared by
all beams, which become further queries; only the beams' own few positions are kept beam by beam. The results equal
the library's forward pass. B users, K beams, Q positions that are new, P positions before them, T prompt tokens,
H heads, C width of a head, D width.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from unisid.decoding.past import KeyValue, Past
from unisid.ops.dropout import dropout


@dataclass(frozen=True)
class Memory:
    """Cross-attention keys and values of the users' prompts."""

    layers: tuple[KeyValue, ...]
    """Keys and values [B, H, T, C] of every decoder layer's cross-attention."""
    bias: Float[Tensor, "B 1 1 T"]
    """0 at real tokens, -inf at padding."""


def encode(stack: Any, embedded: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
    """The encoder's states of prompts; padded positions hold values of no meaning."""
    rate = _rate(stack)
    first = stack.block[0].layer[0].SelfAttention
    length = embedded.shape[1]
    bias = first.compute_bias(length, length) + _mask(real)
    hidden = dropout(embedded, rate)
    for block in stack.block:
        own = block.layer[0]
        query, keys, values = _project(own.SelfAttention, _norm(own.layer_norm, hidden))
        attended = own.SelfAttention.o(_join(_attend(query, keys, values, bias, rate)))
        hidden = hidden + dropout(attended, rate)
        hidden = _feed_forward(block.layer[-1], hidden, rate)
    return dropout(_norm(stack.final_layer_norm, hidden), rate)


def remember(stack: Any, encoded: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"]) -> Memory:
    """Every decoder layer's keys and values of the prompts."""
    layers = []
    for block in stack.block:
        cross = block.layer[1].EncDecAttention
        layers.append((_split(cross.k(encoded), cross), _split(cross.v(encoded), cross)))
    return Memory(tuple(layers), _mask(real))


def decode(
    stack: Any, embedded: Float[Tensor, "B K Q D"], memory: Memory, past: Past
) -> tuple[Float[Tensor, "B K Q D"], Past]:
    """The decoder's states of Q new positions of every beam, and the past with them appended."""
    rate = _rate(stack)
    users, beams, new, width = embedded.shape
    bias = _causal_bias(stack, new, len(past))
    hidden = dropout(embedded, rate).flatten(0, 1)  # [B K, Q, D]
    kept: list[KeyValue] = []
    for number, block in enumerate(stack.block):
        own, cross = block.layer[0], block.layer[1]
        query, keys, values = _project(own.SelfAttention, _norm(own.layer_norm, hidden))
        if past.layers:
            before = [pair.flatten(0, 1).to(keys.dtype) for pair in past.layers[number]]
            keys, values = torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)
        kept.append((keys.unflatten(0, (users, beams)), values.unflatten(0, (users, beams))))
        attended = own.SelfAttention.o(_join(_attend(query, keys, values, bias, rate)))
        hidden = hidden + dropout(attended, rate)
        # Beams are further queries of their user: the prompt's keys and values are read once for all of them.
        queries = cross.EncDecAttention.q(_norm(cross.layer_norm, hidden)).view(users, beams * new, -1)
        query = _split(queries, cross.EncDecAttention)
        attended = cross.EncDecAttention.o(_join(_attend(query, *memory.layers[number], memory.bias, rate)))
        hidden = hidden + dropout(attended.view(users * beams, new, width), rate)
        hidden = _feed_forward(block.layer[-1], hidden, rate)
    hidden = dropout(_norm(stack.final_layer_norm, hidden), rate)
    return hidden.unflatten(0, (users, beams)), Past(tuple(kept))


def _rate(stack: Any) -> float:
    return float(stack.dropout.p) if stack.training else 0.0


def _norm(layer: Any, hidden: Tensor) -> Tensor:
    return functional.rms_norm(hidden, layer.weight.shape, layer.weight, layer.variance_epsilon)


def _feed_forward(layer: Any, hidden: Tensor, rate: float) -> Tensor:
    inner = layer.DenseReluDense
    wide = dropout(functional.relu(inner.wi(_norm(layer.layer_norm, hidden))), rate)
    return hidden + dropout(inner.wo(wide), rate)


def _project(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(_split(linear(hidden), attention) for linear in (attention.q, attention.k, attention.v))  # type: ignore[return-value]


def _split(values: Tensor, attention: Any) -> Float[Tensor, "rows H positions C"]:
    return values.unflatten(-1, (attention.n_heads, -1)).transpose(1, 2)


def _join(values: Float[Tensor, "rows H positions C"]) -> Float[Tensor, "rows positions HC"]:
    return values.transpose(1, 2).flatten(2)


def _mask(real: Bool[Tensor, "B T"]) -> Float[Tensor, "B 1 1 T"]:
    return torch.zeros(real.shape, device=real.device).masked_fill(~real, -math.inf)[:, None, None]


def _causal_bias(stack: Any, new: int, before: int) -> Float[Tensor, "1 H Q P"]:
    attention = stack.block[0].layer[0].SelfAttention
    bias: Tensor = attention.compute_bias(new, before + new, past_seen_tokens=before)
    later = torch.ones(new, before + new, dtype=torch.bool, device=bias.device).triu(before + 1)
    return bias.masked_fill(later, -math.inf)


def _attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor, rate: float) -> Tensor:
    """T5 attention: unscaled dot products plus a bias."""
    if rate and query.device.type == "cpu":  # the fused kernel's own dropout is torch's slow one
        weights = (query @ keys.transpose(-1, -2) + bias).softmax(-1)
        return dropout(weights, rate) @ values
    return functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=bias.to(query.dtype), dropout_p=rate, scale=1.0
    )
