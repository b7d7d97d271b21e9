"""Machines by name, as clouds offer them: what `unisid plan --on 8xH100` means; and this one."""

import math
import os
import re
import shutil

from unisid import footprint
from unisid.artifacts.store import Store
from unisid.capacity import GIGABYTE, Machine
from unisid.config import did_you_mean
from unisid.errors import ConfigError

GPU_NODE = "eight a node, with 2 TB of memory, 192 cores and 28 TB of local disk; the price is assumed: give yours"
MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            name="H100",
            devices=8,
            device_memory=80e9,
            cores=192,
            host_memory=2e12,
            disk=28e12,
            dollars=4.0,
            source=GPU_NODE,
        ),
        Machine(
            name="H200",
            devices=8,
            device_memory=141e9,
            cores=192,
            host_memory=2e12,
            disk=28e12,
            dollars=5.0,
            source=GPU_NODE,
        ),
        Machine(
            name="cpu",
            devices=1,
            device_memory=0.0,
            cores=2,
            host_memory=24e9,
            disk=200e9,
            dollars=0.1,
            source="two cores with 24 GB; the price is assumed: give yours",
        ),
    )
}
"""By name; a device of `cpu` is a whole machine."""


def machine_of(text: str) -> tuple[Machine, int]:
    """'8xH100' -> the machine and the number of devices; raises ConfigError for what is unknown."""
    found = re.fullmatch(r"(?:(\d+)x)?(\w+)", text)
    name = {known.lower(): known for known in MACHINES}.get(found[2].lower()) if found else None
    if found is None or name is None or found[1] == "0":
        raise ConfigError(
            f"plan --on '{text}'{did_you_mean(text, MACHINES)}: must be a number of devices and one of "
            f"{', '.join(MACHINES)}, such as 8xH100"
        )
    return MACHINES[name], int(found[1] or 1)


def here(store: Store) -> Machine:
    """This machine: its GPUs, cores and memory, and the free disk under the store, which of an object store is endless.

    A device is a GPU where there is one, else the whole machine.
    """
    import torch

    gpus = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    disk = float(shutil.disk_usage(store.root.filesystem[1]).free) if store.root.is_local else math.inf
    memory = float(footprint.memory())
    parts = [f"{cores} cores", f"{memory / GIGABYTE:,.0f} GB of memory"]
    parts += [f"{len(gpus)} GPUs ({gpus[0].name})"] if gpus else []
    parts += [f"{disk / GIGABYTE:,.0f} GB of disk free under the store"] if math.isfinite(disk) else []
    return Machine(
        name="node",
        devices=max(1, len(gpus)),
        device_memory=float(min((gpu.total_memory for gpu in gpus), default=0)),
        cores=cores,
        host_memory=memory,
        disk=disk,
        dollars=0.0,
        source=f"{', '.join(parts)}; no price is known: give yours",
    )
