"""Tokens a second and MFU: what is counted for a parameter, and peaks by the device's name."""

import pytest
from torch import nn

from unisid.training.throughput import named_peak, operations_of, throughput


def test_frozen_weights_cost_no_gradient_of_their_own():
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 5, bias=False).requires_grad_(False))
    assert operations_of(model) == 6 * 6 + 4 * 15


def test_mfu_is_six_operations_a_parameter_and_token():
    found = throughput(tokens=1e6, seconds=10.0, operations=6 * 10**9, devices=2, peak=1e15)
    assert found == {"tokens_per_second": 1e5, "mfu": pytest.approx(6e14 / 2e15)}
    assert throughput(1.0, 1.0, 1, 1, None) == {"tokens_per_second": 1.0}


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA A10G", 70e12),
        ("Tesla T4", None),
    ],
)
def test_peaks_by_name(name, peak):
    assert named_peak(name) == peak
