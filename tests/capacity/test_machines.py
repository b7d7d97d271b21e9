"""Machines by their names, and this one as it is."""

import math
import os
import shutil
import types

import psutil
import pytest
import torch

from unisid.artifacts.store import Place, Store
from unisid.capacity.machines import MACHINES, here, machine_of
from unisid.errors import ConfigError

H100 = MACHINES["H100"]


@pytest.mark.parametrize("text", ["8xV100", "x", "0xH100", "-1xH100", "8 x H100", ""])
def test_unknown_machines_are_refused(text):
    with pytest.raises(ConfigError, match="must be a number of devices and one of H100, H200, cpu"):
        machine_of(text)


def test_machines_are_named_in_either_case():
    assert machine_of("16xh100") == (H100, 16)
    assert machine_of("cpu") == (MACHINES["cpu"], 1)


def test_this_machine_is_what_it_is(place, monkeypatch):
    found = here(Store(place))
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.host_memory == psutil.virtual_memory().total
    assert found.disk == pytest.approx(shutil.disk_usage(place.uri).free, rel=0.05)
    assert (found.devices, found.device_memory) == (max(1, torch.cuda.device_count()), found.device_memory)
    assert here(Store(Place.of("memory://nowhere"))).disk == math.inf
    gpu = types.SimpleNamespace(name="NVIDIA L4", total_memory=24e9)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: gpu)
    found = here(Store(place))
    assert (found.devices, found.device_memory) == (2, 24e9)
    assert "2 GPUs (NVIDIA L4)" in found.source
