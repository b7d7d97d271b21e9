"""How fast a model learns: tokens a second, and how much of what the devices can do that is."""

import torch

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


def throughput(tokens: float, seconds: float, parameters: int, devices: int, peak: float | None) -> dict[str, float]:
    """Tokens a second over all devices; and MFU = 6 parameters tokens / (seconds devices peak), if the peak is known.

    A token costs 2 operations a parameter forward and 4 backward; attention's own are not counted (Chowdhery et al.
    2022, appendix B, without its last term).
    """
    rate = tokens / max(seconds, 1e-9)
    shown = {"tokens_per_second": rate}
    return shown | ({"mfu": 6 * parameters * rate / (devices * peak)} if peak else {})
