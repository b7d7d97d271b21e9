"""Many texts' tokens through an encoder, in batches of nearly one length; the result in the texts' own order.

B texts, T tokens of a batch's longest, D width, n tokens of all texts together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import normalize

from unisid.encoders import Encoder, Tokens
from unisid.ops.pooling import Pooling, batches_by_length, pool


@dataclass(frozen=True)
class Encoded:
    """An encoder's vectors of texts."""

    pooled: Float[np.ndarray, "B D"]
    states: Float[np.ndarray, "n D"] | None
    """Text after text."""
    peaks: Float[np.ndarray, " B"]
    """The largest magnitude in what is kept of a text, before float16; NaN where there is a NaN."""
    slots: int
    """Token positions that were computed: n and the padding."""


@torch.inference_mode()
def encode(
    encoder: Encoder,
    tokens: Tokens,
    device: torch.device,
    *,
    pooling: Pooling,
    normalise: bool,
    keep_states: bool,
    batch_tokens: int,
) -> Encoded:
    """Encode texts of at least one token each.

    Results stay on the device, in the texts' order, until the last batch is under way: nothing in the loop waits for
    a GPU, which needs room for the float16 states of all these texts.
    """
    offsets = np.concatenate([[0], np.cumsum(tokens.lengths)])
    num_tokens = int(offsets[-1]) if keep_states else 0
    pooled = torch.empty(len(tokens.lengths), encoder.width, device=device)
    states = torch.empty(num_tokens, encoder.width, dtype=torch.float16, device=device)
    peaks = torch.empty(num_tokens, device=device)
    slots = 0
    for rows in batches_by_length(tokens.lengths, batch_tokens):
        lengths = tokens.lengths[rows]
        within = np.arange(lengths[0])
        real = within < lengths[:, None]
        source = offsets[rows][:, None] + within
        ids = np.where(real, tokens.ids[np.minimum(source, len(tokens.ids) - 1)], 0)
        full = bool(real.all())
        slots += ids.size
        hidden = encoder(_move(ids.astype(np.int64), device), None if full else _move(real, device))
        vectors = pool(hidden, None if full else _move(lengths, device), pooling)
        pooled.index_copy_(0, _move(rows, device), vectors)
        if keep_states:
            flat = hidden.flatten(0, 1)
            if not full:
                flat = flat.index_select(0, _move(np.flatnonzero(real), device))
            place = _move(source[real], device)
            states.index_copy_(0, place, flat.to(torch.float16))
            peaks.index_copy_(0, place, flat.abs().amax(1).float())
    if normalise:
        pooled = normalize(pooled)
    pooled_host, states_host, peaks_host = _fetch(pooled, states, peaks)
    worst = np.maximum.reduceat(peaks_host, offsets[:-1]) if keep_states else np.abs(pooled_host).max(axis=1)
    return Encoded(pooled_host, states_host if keep_states else None, worst, slots)


def _move(array: Shaped[np.ndarray, "*s"], device: torch.device) -> Shaped[Tensor, "*s"]:
    """To the device; on a GPU from page-locked memory, so that the copy runs beside the computation."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _fetch(*tensors: Float[Tensor, "..."]) -> list[Float[np.ndarray, "..."]]:
    """To the host, all at once, after everything before."""
    if tensors[0].device.type != "cuda":
        return [tensor.numpy() for tensor in tensors]
    hosts = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for host, tensor in zip(hosts, tensors, strict=True):
        host.copy_(tensor, non_blocking=True)
    torch.cuda.synchronize(tensors[0].device)
    return [host.numpy() for host in hosts]
