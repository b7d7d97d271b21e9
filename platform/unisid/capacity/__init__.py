"""What a run over N items takes: hours, memory, disk, machines and money, from rates that say where they are from.

A stage's cost is linear in its unit (items, interactions, tokens, users), which `benchmarks.scale` holds against
measurements from 10^4 items on:

    seconds = fixed + passes units / rate / devices,   memory = fixed + units (each + shared / devices)

An interval of the rate gives one of the time. What does not fit the machines is refused, with what would fit.
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
    """What a run reads, in numbers."""

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
    """What one stage takes, a unit; and where that is known from."""

    noun: str
    unit: Unit
    rate: float
    """Units a second, of one device, in one pass."""
    low: float
    high: float
    """The interval of the rate."""
    source: str
    """Who measured it where and when, or from what it is derived."""
    where: Where = "device"
    """What does the work: each accelerator (or the only processor), or the cores of the hosts."""
    passes: float = 1.0
    seconds: float = 0.0
    """Whatever the number of units: starting, loading, compiling."""
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
    """One kind of machine, as it is bought."""

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
    """What one stage of a run takes on given devices."""

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
    """Every stage on so many devices, or so many host cores where those do the work."""
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
    """The least power-of-two number of devices that the run fits; None where none up to `most` does."""
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
    """The cost that runs at several sizes show: straight lines of least relative error through what was measured.

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
    """a and b of y = a + b x, both at least 0, with the least sum of ((a + b x) / y - 1)^2."""
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
