"""How fast a model learns: tokens a second, and how much of what the devices can do that is."""

import torch
from torch import nn

PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bfloat16 operations a second by what the device's name holds, as its maker states them; longer names first."""


def peak_of(device: torch.device) -> float | None:
    """The device's bfloat16 operations a second; None for a CPU and for a GPU that is not listed."""
    if device.type != "cuda":
        return None
    return named_peak(torch.cuda.get_device_name(device))


def named_peak(name: str) -> float | None:
    """The peak of a device by its name, such as 'NVIDIA H100 80GB HBM3'."""
    for part in sorted(PEAKS, key=len, reverse=True):
        if part in name:
            return PEAKS[part]
    return None


def operations_of(model: nn.Module) -> int:
    """Operations that a token costs in a step: 2 a parameter forward, 2 backward, and 2 more where it learns.

    Attention's own are not counted (Chowdhery et al. 2022, appendix B, without its last term).
    """
    return sum((6 if parameter.requires_grad else 4) * parameter.numel() for parameter in model.parameters())


def throughput(tokens: float, seconds: float, operations: int, devices: int, peak: float | None) -> dict[str, float]:
    """Tokens a second over all devices; and MFU = operations tokens / (seconds devices peak), if the peak is known.

    Args:
        operations: of one token, as `operations_of` counts them.
    """
    rate = tokens / max(seconds, 1e-9)
    shown = {"tokens_per_second": rate}
    return shown | ({"mfu": operations * rate / (devices * peak)} if peak else {})
