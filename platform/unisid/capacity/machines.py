"""Machines by name, as clouds offer them: what `unisid plan --on 8xH100` means."""

import re

from unisid.capacity import Machine
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
