"""Dropout that is cheap on a CPU, where torch's own draws every element alone and is half of a small model's step."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

STEPS = 256


def dropout(values: Float[Tensor, "*shape"], rate: float) -> Float[Tensor, "*shape"]:
    """Zero elements with the given probability and scale up the rest, so that the mean stays.

    On a CPU one random byte decides an element: the rate is rounded to 1/256, and the scale is that of the rounded
    rate. Elsewhere it is torch's own.
    """
    if rate == 0.0:
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, rate)
    scaled: Tensor = _ByteDropout.apply(values, rate)
    return scaled


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Inside, torch draws from this seed, and afterwards from where it was before; None: from where it is."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: float) -> Tensor:
        threshold = round(rate * STEPS)
        words = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.uint8)[: values.numel()].view(values.shape)
        kept = (draws >= threshold).view(torch.uint8)  # bytes become floats three times as fast as truth values do
        factors = kept.to(values.dtype).mul_(STEPS / (STEPS - threshold))
        ctx.save_for_backward(factors)
        return values * factors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradients[0] * factors, None
