"""Estimates of a run over N items: time, memory, disk and money, from measured, published or derived rates.

A stage's cost is linear in its unit (items, interactions, tokens, users), which `benchmarks.scale` holds against
measurements from 10^4 items on:

    seconds = fixed + passes units / rate / devices,   memory = fixed + units (each + shared / devices)

The interval of a rate gives one of the time. Example, 10^6 items, fixed = 60 s, 2 passes, 500 items/s a device, 4
devices: 60 + 2 * 10^6 / 500 / 4 = 1,060 s; with 8 bytes each and 400 shared, 10^6 * (8 + 400 / 4) = 108 MB a worker.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from unisid.errors import ConfigError

Unit = Literal["items", "interactions", "tokens", "users"]
Where = Literal["device", "host"]
GIGABYTE = 1e9
SAFETY = 0.9
"""Share of a memory or a disk that a run may fill."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The size of a run's input."""

    items: float
    interactions_per_item: float = 10.0
    items_per_user: float = 1.0
    tokens: float = 64.0
    """Of a text, on average."""
    test_users: float = 100_000.0
    """Users that are ranked at most, by a sample of the test samples."""

    def units(self, unit: Unit) -> float:
        """How many of a unit there are."""
        users = self.items / self.items_per_user
        return {
            "items": self.items,
            "interactions": self.items * self.interactions_per_item,
            "tokens": self.items * self.tokens,
            "users": min(users, self.test_users),
        }[unit]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one stage a unit, and the source of its rate."""

    noun: str
    unit: Unit
    rate: float
    """Units a second, of one device, in one pass."""
    low: float
    high: float
    """The interval of the rate."""
    source: str
    """Where and when it was measured, or what it is derived from."""
    where: Where = "device"
    """Which processors do the work: accelerators (or a CPU machine), or the cores of the hosts."""
    passes: float = 1.0
    seconds: float = 0.0
    """Fixed, whatever the number of units: starting, loading, compiling."""
    memory: float = 0.0
    """Bytes of a worker, whatever the number of units."""
    unit_memory: float = 0.0
    """Bytes a unit in every worker."""
    shared_memory: float = 0.0
    """Bytes a unit that workers share out."""
    memory_of: Where = "host"
    """Whose memory that is."""
    unit_disk: float = 0.0
    """Bytes a unit that stay on disk."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A kind of machine and its price."""

    name: str
    devices: int
    device_memory: float
    """Bytes of each accelerator; of none where the processor does the work."""
    cores: int
    host_memory: float
    disk: float
    dollars: float
    """A device and hour."""
    source: str


@dataclass(frozen=True)
class Estimate:
    """The estimate of one stage of a run on given devices."""

    noun: str
    seconds: float
    shortest: float
    longest: float
    memory: float
    """Bytes of the fullest worker, device or host."""
    memory_of: Where
    disk: float
    source: str


def estimate(shop: Shop, costs: Sequence[Cost], devices: int, cores: int) -> list[Estimate]:
    """The estimates of all stages on so many devices, or host cores where those do the work."""
    found = []
    for cost in costs:
        workers = devices if cost.where == "device" else cores
        units = shop.units(cost.unit)
        work = cost.passes * units / workers
        found.append(
            Estimate(
                cost.noun,
                cost.seconds + work / cost.rate,
                cost.seconds + work / cost.high,
                cost.seconds + work / cost.low,
                cost.memory + units * (cost.unit_memory + cost.shared_memory / devices),
                cost.memory_of,
                cost.unit_disk * units,
                cost.source,
            )
        )
    return found


def refuse_misfits(found: Sequence[Estimate], machine: Machine, devices: int) -> None:
    """Raise ConfigError where a stage's memory, or all artifacts together, do not fit so many devices of a machine."""
    machines = math.ceil(devices / machine.devices)
    lines = []
    for each in found:
        room = SAFETY * (machine.device_memory if each.memory_of == "device" else machine.host_memory)
        if each.memory > room:
            lines.append(
                f"{each.noun} needs {each.memory / GIGABYTE:,.0f} GB of each {each.memory_of}, a {machine.name} has "
                f"{room / SAFETY / GIGABYTE:,.0f}"
            )
    disk = sum(each.disk for each in found)
    if disk > SAFETY * machine.disk * machines:
        lines.append(
            f"artifacts need {disk / GIGABYTE:,.0f} GB of disk, {machines} machines have "
            f"{machine.disk * machines / GIGABYTE:,.0f}"
        )
    if lines:
        raise ConfigError(
            f"plan: does not fit {devices}x{machine.name}: {'; '.join(lines)}; take more or larger "
            "machines (--on), or less (embeddings.states_of, a narrower graph)"
        )


def fitting(shop: Shop, costs: Sequence[Cost], machine: Machine, most: int = 1 << 14) -> int | None:
    """The smallest power of two of devices that the run fits on; None where none up to `most` suffices."""
    devices = 1
    while devices <= most:
        try:
            refuse_misfits(estimate(shop, costs, devices, machine.cores), machine, devices)
        except ConfigError:
            devices *= 2
        else:
            return devices
    return None


def fitted(noun: str, unit: Unit, points: Mapping[float, Mapping[str, float]], source: str, spread: float) -> Cost:
    """A stage's cost from runs at several sizes: straight lines of least relative error through the measurements.

    Args:
        points: units -> seconds, and bytes of memory and disk.
        spread: the factor either way that the rate's interval has.
    """
    lines = [_line({units: each[name] for units, each in points.items()}) for name in ("seconds", "memory", "disk")]
    seconds, memory, disk = lines
    rate = 1 / max(seconds[1], 1e-12)
    return Cost(
        noun=noun,
        unit=unit,
        rate=rate,
        low=rate / spread,
        high=rate * spread,
        source=source,
        seconds=seconds[0],
        memory=memory[0],
        unit_memory=memory[1],
        unit_disk=disk[1],
    )


def _line(points: Mapping[float, float]) -> tuple[float, float]:
    """a and b of y = a + b x, both at least 0, with the least sum of ((a + b x) / y - 1)^2.

    Example, (100, 3), (200, 5): a = 1, b = 0.02 meet both. Through (100, 3), (200, 2) b would be negative, so b = 0 and
    a = (1/3 + 1/2) / (1/9 + 1/4) = 2.31. A single point gives a = 0.
    """
    xs, ys = list(points), [max(y, 1e-12) for y in points.values()]
    rows = [(1 / y, x / y) for x, y in zip(xs, ys, strict=True)]
    aa, ab, bb = (sum(r[i] * r[j] for r in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    sa, sb = (sum(r[i] for r in rows) for i in (0, 1))
    determinant = aa * bb - ab * ab
    if len(rows) > 1 and determinant > 0:
        a, b = (sa * bb - sb * ab) / determinant, (sb * aa - sa * ab) / determinant
        if a >= 0 and b >= 0:
            return a, b
        if b < 0:
            return sa / aa, 0.0
    return 0.0, sb / bb
