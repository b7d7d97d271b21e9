"""`unisid plan --items 1e8`: what a run of a size takes, and whether it fits."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unisid.artifacts.store import Store
    from unisid.capacity import Estimate

HERE = "here"


def show(
    items: float, on: str, kept_states: float, price: float | None, store: Store, as_json: bool, sorted_in: float = 0.0
) -> None:
    """Print what a run over so many items takes on machines; raises ConfigError where it does not fit.

    Args:
        on: such as 8xH100; or `here`: as calibrated in the store.
        kept_states: items whose token states are kept; 0: all.
        price: dollars a device and hour; None: what is assumed.
        as_json: instead of a table.
        sorted_in: GiB that the catalog is sorted in, with the rest on disk; 0: all in memory.
    """
    from unisid.artifacts.store import NOUNS
    from unisid.capacity import Shop, estimate, fitting, rates, refuse_misfits
    from unisid.capacity.calibrate import UNITS, kept
    from unisid.capacity.machines import here, machine_of
    from unisid.cli.tables import show
    from unisid.config import json_text
    from unisid.errors import ConfigError
    from unisid.stages.catalog.on_disk.memory import most_held

    if not 1 <= items <= 1e12:
        raise ConfigError(f"plan --items {items:g}: must be from 1 to 1e12")
    is_here = on == HERE
    shop = Shop(items=items)
    share = min(1.0, kept_states / items) if kept_states > 0 else 1.0
    if is_here:
        costs, machine = kept(store), here(store)
        devices = machine.devices
    else:
        machine, devices = machine_of(on)
        costs = rates.RATES[machine.name](shop.tokens, share)
    if sorted_in:
        most = most_held(sorted_in)
        costs = [replace(cost, most_memory=most) if cost.noun == "catalog" else cost for cost in costs]
    found = estimate(shop, costs, devices, machine.cores * -(-devices // machine.devices))
    dollars = devices * (machine.dollars if price is None else price)
    left_out = [noun for noun in UNITS if noun not in {cost.noun for cost in costs}]
    left_out += [*(noun for noun in NOUNS if noun not in UNITS), "align"]
    if as_json:
        stages = [asdict(each) | {"dollars": each.seconds / 3600 * dollars} for each in found]
        facts = {"machine": machine.name, "devices": devices, "source": machine.source, "not_counted": left_out}
        print(json_text(facts | {"stages": stages}))
    else:
        show(rows(found, dollars))
        print(f"{devices} x {machine.name}: {machine.source}")
        print(f"not counted, where a recipe has them: {', '.join(left_out)}")
    try:
        refuse_misfits(found, machine, devices)
    except ConfigError as error:
        enough = None if is_here else fitting(shop, costs, machine)
        raise ConfigError(f"{error}" + (f"; {enough}x{machine.name} would do" if enough else "")) from None


def rows(found: list[Estimate], dollars: float) -> list[tuple[str, ...]]:
    """A table's rows: every stage, then all together."""
    head = ("stage", "hours", "interval", "memory", "disk", "dollars", "rate from")
    body = [
        (
            each.noun,
            hours(each.seconds),
            f"{hours(each.shortest)} to {hours(each.longest)}",
            f"{size(each.memory)} a {each.memory_of}"
            + (f", {size(each.host_memory)} a host" if each.host_memory else ""),
            size(each.disk),
            f"{each.seconds / 3600 * dollars:,.2f}",
            each.source,
        )
        for each in found
    ]
    seconds, shortest, longest = (sum(getattr(e, name) for e in found) for name in ("seconds", "shortest", "longest"))
    interval = f"{hours(shortest)} to {hours(longest)}"
    total = (
        "in all",
        hours(seconds),
        interval,
        "",
        size(sum(e.disk for e in found)),
        f"{seconds / 3600 * dollars:,.2f}",
        "",
    )
    return [head, *body, total]


def hours(seconds: float) -> str:
    """In hours, with as many digits as say something."""
    return f"{seconds / 3600:.2g}" if seconds < 36_000 else f"{seconds / 3600:,.0f}"


def size(number: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
