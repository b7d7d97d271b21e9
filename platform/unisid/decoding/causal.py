"""The mathematics of Llama, Qwen2 and Qwen3 over the weights of transformers' models, for one prompt and many beams.

A prompt is read once a user; its keys and values are shared by all of the user's beams, which are further queries of
their user: one product over the prompt for all of them, one over each beam's own few positions, and one softmax over
the scores of both, so that the result is the library's. Heads that share keys and values (grouped-query attention)
are further queries too, so that no key is repeated. Every layer, norm and head is called as a module, so that those
which are wrapped (LoRA, ZeRO-3) do what they must.

Prompts are padded on the right. B users, K beams, T prompt tokens, P own positions of a beam, Q queries, H heads,
G heads of keys and values, C width of a head, D width, V vocabulary entries.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention

from unisid.decoding.past import KeyValue, Past
from unisid.errors import ConfigError

FAMILIES = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True)
class Memory:
    """Cached keys and values of the users' prompts."""

    layers: tuple[KeyValue, ...]
    """Every layer's keys and values [B, G, T, C]."""
    bias: Float[Tensor, "B 1 1 T"]
    """0 at real tokens, -inf at padding."""
    lengths: Int[Tensor, " B"]
    """Real tokens of every prompt: the position at which its beams begin."""


def check(model: Any) -> None:
    """Raise ConfigError for a model whose forward pass is not the one written here."""
    config = model.config
    if config.model_type not in FAMILIES:
        raise ConfigError(f"language model: its type is {config.model_type!r}; must be one of {', '.join(FAMILIES)}")
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        raise ConfigError(
            f"language model: has layers of {', '.join(sorted(kinds))}; every layer must attend to the whole prompt "
            "(use_sliding_window false)"
        )


def read(model: Any, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"]) -> tuple[Memory, Float[Tensor, "B D"]]:
    """Read prompts of at least one real token each; the hidden vector, after the last norm, of the last real one."""
    check(model)
    stack = model.model
    hidden = stack.embed_tokens(torch.where(real, ids, 0))
    turn = stack.rotary_emb(hidden, torch.arange(ids.shape[1], device=ids.device)[None])
    *layers, last = stack.layers
    pairs: list[KeyValue] = []
    for layer in layers:
        own, normed = layer.self_attn, layer.input_layernorm(hidden)
        pairs.append(_prompt_pair(own, normed, turn))
        # What pads on the right comes later than every real token, and being later is hidden from it.
        attended = functional.scaled_dot_product_attention(
            _query(own, normed, turn).transpose(1, 2), *pairs[-1], is_causal=True, scale=own.scaling, enable_gqa=True
        )
        hidden = _finish(layer, hidden, attended.transpose(1, 2))
    # The last layer's keys and values are needed of every position, but what becomes of it only at the last token.
    normed = last.input_layernorm(hidden)
    pairs.append(_prompt_pair(last.self_attn, normed, turn))
    lengths = real.sum(1)
    bias = torch.zeros(real.shape, device=real.device).masked_fill(~real, -math.inf)[:, None, None]
    end = (torch.arange(len(ids), device=ids.device)[:, None], lengths[:, None] - 1)
    query = _query(last.self_attn, normed[end], (turn[0][0, end[1]], turn[1][0, end[1]]))
    attended = _attend(query, pairs[-1], bias, None, last.self_attn.scaling)
    return Memory(tuple(pairs), bias, lengths), stack.norm(_finish(last, hidden[end], attended))[:, 0]


def append(model: Any, memory: Memory, past: Past, ids: Int[Tensor, "B K"]) -> tuple[Past, Float[Tensor, "B K D"]]:
    """Append one token to every beam: the past with it, and the hidden vectors after the last norm."""
    stack = model.model
    hidden = stack.embed_tokens(ids)
    turn = stack.rotary_emb(hidden, memory.lengths[:, None] + len(past))
    kept: list[KeyValue] = []
    for number, layer in enumerate(stack.layers):
        own, normed = layer.self_attn, layer.input_layernorm(hidden)
        keys, values = (part[:, :, :, None] for part in _pair(own, normed, turn))
        if past.layers:
            before = past.layers[number]
            keys, values = torch.cat([before[0], keys], 3), torch.cat([before[1], values], 3)
        kept.append((keys, values))
        attended = _attend(_query(own, normed, turn), memory.layers[number], memory.bias, kept[-1], own.scaling)
        hidden = _finish(layer, hidden, attended)
    return Past(tuple(kept)), stack.norm(hidden)


def head(model: Any, hidden: Float[Tensor, "*rows D"], entries: slice = slice(None)) -> Float[Tensor, "*rows V"]:
    """The logits at some entries of the vocabulary; of all by default."""
    layer = model.lm_head
    if entries != slice(None) and type(layer) is nn.Linear and len(layer.weight) == layer.out_features:
        bias = None if layer.bias is None else layer.bias[entries]
        return functional.linear(hidden, layer.weight[entries], bias)
    return layer(hidden)[..., entries]  # a wrapped head, or one whose weight lies elsewhere, answers as a whole


def _query(attention: Any, normed: Tensor, turn: KeyValue) -> Float[Tensor, "B Q H C"]:
    query = attention.q_proj(normed).unflatten(-1, (-1, attention.head_dim))
    return _rotate(attention.q_norm(query) if isinstance(attention, Qwen3Attention) else query, turn)


def _pair(attention: Any, normed: Tensor, turn: KeyValue) -> KeyValue:
    """Of positions [B, Q, D]: each [B, Q, G, C]."""
    keys = attention.k_proj(normed).unflatten(-1, (-1, attention.head_dim))
    keys = _rotate(attention.k_norm(keys) if isinstance(attention, Qwen3Attention) else keys, turn)
    return keys, attention.v_proj(normed).unflatten(-1, (-1, attention.head_dim))


def _prompt_pair(attention: Any, normed: Tensor, turn: KeyValue) -> KeyValue:
    """Each [B, G, T, C]."""
    keys, values = _pair(attention, normed, turn)
    return keys.transpose(1, 2).contiguous(), values.transpose(1, 2).contiguous()


def _rotate(vectors: Float[Tensor, "B Q heads C"], turn: KeyValue) -> Float[Tensor, "B Q heads C"]:
    """Rotary positions: each pair of places (c, c + C/2) turned by its angle."""
    cos, sin = turn[0][:, :, None], turn[1][:, :, None]
    first, second = vectors.chunk(2, -1)
    return vectors * cos + torch.cat([-second, first], -1) * sin


def _attend(
    query: Float[Tensor, "B K H C"],
    prompt: KeyValue,
    bias: Float[Tensor, "B 1 1 T"],
    own: KeyValue | None,
    scale: float,
) -> Float[Tensor, "B K H C"]:
    """Attention of every beam to its user's prompt and to its own positions, under one softmax."""
    users, beams, _, width = query.shape
    groups, length = prompt[0].shape[1:3]

    def by_user(values: Tensor) -> Tensor:
        """[B, K, G, R, ...] as [B, G, K R, ...]: the R heads of a group, of all beams, attend to the same keys."""
        return values.transpose(1, 2).flatten(2, 3)

    def by_beam(values: Tensor) -> Tensor:
        return values.unflatten(2, (beams, -1)).transpose(1, 2)

    queries = (query * scale).view(users, beams, groups, -1, width)
    scores = by_user(queries) @ prompt[0].transpose(-1, -2) + bias.to(query.dtype)
    if own is not None:
        scores = torch.cat([scores, by_user(queries @ own[0].transpose(-1, -2))], -1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    mixed = by_beam(weights[..., :length] @ prompt[1])
    if own is not None:
        mixed = mixed + by_beam(weights[..., length:]) @ own[1]
    return mixed.flatten(2, 3)


def _finish(layer: Any, hidden: Float[Tensor, "B Q D"], attended: Tensor) -> Float[Tensor, "B Q D"]:
    """The rest of a layer, after what its heads have gathered [B, Q, H, C]."""
    hidden = hidden + layer.self_attn.o_proj(attended.flatten(2))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))
