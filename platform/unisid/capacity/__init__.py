"""Estimates of a run over N items: time, memory, disk and money, from measured, published or derived rates.

A stage's cost is linear in its unit (items, interactions, tokens, users), with further terms where its work is not:
each item's search among lists of near texts as long as the root of N (fused), numbers of items, which compress the
less the more items there are (sequences), and scores of all items, held for as many users as fit a buffer (graph).
`capacity.laws` says how; `benchmarks.scale` holds all against measurements from 10^4 items on:

    seconds = fixed + (passes units / rate + search units^1.5) / devices
    memory = fixed + units (each + shared / devices) + items each + score_bytes(ranked, N)
    disk = fixed + units (each + numbers number_bits(N) / 8)

The interval of a rate gives one of the time. Example, 10^6 items, fixed = 60 s, 2 passes, 500 items/s a device, 4
devices: 60 + 2 * 10^6 / 500 / 4 = 1,060 s; with 8 bytes each and 400 shared, 10^6 * (8 + 400 / 4) = 108 MB a worker.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from unisid.capacity.laws import compared, number_bits, score_bytes
from unisid.errors import ConfigError

Unit = Literal["items", "interactions", "tokens", "users"]
Where = Literal["device", "host"]
GIGABYTE = 1e9
SEARCH = 1.5
"""The power of N that searching inverted lists for each of N items takes (`ops.nearest`)."""
SEARCHES = ("fused",)
"""The stages that do."""
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
    """Users that are ranked at most: `metrics.test_samples` of the recipe `production`."""

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
    workers: float = 0.0
    """At most so many share its work, as its recipe's pools have it; 0: all that there are."""
    passes: float = 1.0
    search: float = 0.0
    """Seconds of one device for each units^1.5; its interval is as wide as the rate's."""
    seconds: float = 0.0
    """Fixed, whatever the number of units: starting, loading, compiling."""
    memory: float = 0.0
    """Bytes of a worker, whatever the number of units."""
    unit_memory: float = 0.0
    """Bytes a unit in every worker."""
    shared_memory: float = 0.0
    """Bytes a unit that workers share out."""
    item_memory: float = 0.0
    """Bytes an item in every worker, whatever the unit."""
    ranked: float = 0.0
    """Users for whom all items are scored while it validates."""
    most_memory: float = 0.0
    """Bytes that a worker holds at most, where the rest is on disk; 0: all is in memory."""
    memory_of: Where = "host"
    """Whose memory that is."""
    host_memory: float = 0.0
    """Bytes of the host besides, where that is a device's: whatever the number of units."""
    unit_host_memory: float = 0.0
    """Likewise, a unit."""
    disk: float = 0.0
    """Bytes that stay on disk, whatever the number of units."""
    unit_disk: float = 0.0
    """Likewise, a unit."""
    numbers: float = 0.0
    """Numbers of items that Parquet holds for a unit, besides."""
    group: float = 0.0
    """How many of them a row group has."""


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
    host_memory: float = 0.0
    """Bytes of the host besides, where `memory` is a device's."""


def estimate(shop: Shop, costs: Sequence[Cost], devices: int, cores: int) -> list[Estimate]:
    """The estimates of all stages on so many devices, or host cores where those do the work."""
    found = []
    for cost in costs:
        workers: float = devices if cost.where == "device" else cores
        workers = min(workers, cost.workers or workers)
        units = shop.units(cost.unit)
        work = (cost.passes * units / cost.rate + cost.search * units**SEARCH) / workers
        found.append(
            Estimate(
                cost.noun,
                cost.seconds + work,
                cost.seconds + work * cost.rate / cost.high,
                cost.seconds + work * cost.rate / cost.low,
                _memory(cost, shop, devices),
                cost.memory_of,
                cost.disk + units * (cost.unit_disk + _bytes_of_numbers(cost, shop.items)),
                cost.source,
                cost.host_memory + units * cost.unit_host_memory,
            )
        )
    return found


def _memory(cost: Cost, shop: Shop, devices: int) -> float:
    each = cost.unit_memory + cost.shared_memory / devices
    held = score_bytes(cost.ranked, shop.items)
    found = cost.memory + shop.units(cost.unit) * each + shop.items * cost.item_memory + held
    return min(found, cost.most_memory or found)


def _bytes_of_numbers(cost: Cost, items: float) -> float:
    return cost.numbers * number_bits(items, cost.group) / 8 if cost.numbers else 0.0


def refuse_misfits(found: Sequence[Estimate], machine: Machine, devices: int) -> None:
    """Raise ConfigError where a stage's memory, or all artifacts together, do not fit so many devices of a machine."""
    machines = math.ceil(devices / machine.devices)
    lines = []
    room = {"device": machine.device_memory, "host": machine.host_memory}
    for each in found:
        for of, needed in {"host": each.host_memory, each.memory_of: each.memory}.items():
            if needed > SAFETY * room[of]:
                lines.append(
                    f"{each.noun} needs {needed / GIGABYTE:,.0f} GB of each {of}, a {machine.name} has "
                    f"{room[of] / GIGABYTE:,.0f}"
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
    """A stage's cost from runs at several sizes: the terms, none below 0, of least relative error.

    A search's term is told from the others where there are as many sizes as terms and it is known how many lists were
    searched, or one more.

    Args:
        points: units -> seconds, and bytes of memory and disk; where they are known, how many `lists` were searched
            for an item (0: it was compared with all); and with the `items`, how many numbers of them a row group has
            (`group`), and for how many users all were `ranked` while it validated.
        spread: the factor either way that the rate's interval has.
    """
    units, found = np.array(sorted(points), float), [points[each] for each in sorted(points)]
    of = {name: [each[name] for each in found] for name in ("seconds", "memory", "disk")}
    search, factor = _search(units, [each.get("lists") for each in found]) if noun in SEARCHES else ([], 1.0)
    seconds = _terms(of["seconds"], units, *search)
    ranked, group = found[-1].get("ranked", 0.0), found[-1].get("group", 0.0)
    scores = [score_bytes(each["ranked"], each["items"]) if ranked else 0.0 for each in found]
    memory = _terms([whole - held for whole, held in zip(of["memory"], scores, strict=True)], units)
    written = (
        [x * number_bits(each["items"], group) / 8 for x, each in zip(units, found, strict=True)] if group else units
    )
    disk = _terms(of["disk"], written)
    rate = 1 / max(seconds[1], 1e-12)
    return Cost(
        noun=noun,
        unit=unit,
        rate=rate,
        low=rate / spread,
        high=rate * spread,
        source=source,
        search=seconds[2] * factor if search else 0.0,
        seconds=seconds[0],
        memory=memory[0],
        unit_memory=memory[1],
        ranked=ranked,
        disk=disk[0],
        unit_disk=0.0 if group else disk[1],
        numbers=disk[1] if group else 0.0,
        group=group,
    )


def _search(units: NDArray[np.float64], lists: Sequence[float | None]) -> tuple[list[NDArray[np.float64]], float]:
    """The column of a search's term, if it can be told; and the comparisons over the root of N at the last size."""
    known = [compared(each) if each else 0.0 for each in lists if each is not None]
    if len(known) < len(units):
        return ([units**SEARCH] if len(units) > 3 else []), 1.0
    return ([units**SEARCH * known] if len(units) > 2 and known[-1] else []), known[-1]


def _terms(ys: Sequence[float], *columns: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """c of y = c_0 + c_1 x_1 + c_2 x_2 ..., none below 0, with the least sum of (that sum / y - 1)^2.

    Example, x = 100, 200 and y = 3, 5: 1 + 0.02 x meets both. With y = 3, 2 the slope would be negative, so it is 0,
    and y = (1/3 + 1/2) / (1/9 + 1/4) = 2.31. A single point gives a slope alone.
    """
    parts = np.maximum(ys, 1e-12)
    xs = np.stack([np.full(len(parts), float(len(parts) > 1)), *columns], axis=1) / parts[:, None]
    size = np.maximum(xs.max(axis=0), 1e-300)
    found, _ = nnls(xs / size, np.ones(len(parts)))
    return [float(each) for each in found / size]
