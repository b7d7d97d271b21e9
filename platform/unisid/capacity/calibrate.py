"""Measures the rates of this machine: a recipe's stages at two small sizes of a synthetic catalogue, one pass each.

Every stage runs in a process of its own, so that its peak memory can be read. Where a GPU works, time is what passed;
elsewhere it is the processor's, which others' work does not change, shared by as many cores as the stage's pools have.
What is not measured in two minutes is left out. The costs are kept in the store, as `capacity.json`.
"""

import dataclasses
import datetime
import itertools
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from unisid import recipes
from unisid.artifacts.store import Store
from unisid.capacity import Cost, Unit, fitted
from unisid.compute import Pool
from unisid.config import Json
from unisid.datasets import synthetic
from unisid.errors import ArtifactError, MachineError
from unisid.log import logger
from unisid.planning import Recipe
from unisid.stages.sequences import ROWS_PER_GROUP
from unisid.training.loop import Training

LOG = logger(__name__)

FILE, PLACE = "capacity.json", "calibration"
"""What is kept in a store, and where runs lie."""
SIZES = (1_000, 4_000)
"""Items of the runs."""
SECONDS = 120.0
"""After so long what is being measured is ended, and no further stage begins."""
SPREAD = 1.5
"""How far, either way, a rate measured at small sizes may be from that of a large one."""
UNITS: dict[str, Unit] = {
    "catalog": "interactions",
    "embeddings": "tokens",
    "graph": "interactions",
    "fused": "items",
    "codes": "items",
    "sequences": "interactions",
    "model": "interactions",
    "metrics": "users",
}
"""What each stage's cost is in proportion to."""
MEGABYTE = 2**20


def small(recipe: Recipe, items: int) -> Recipe:
    """A recipe with its own model shapes, over a synthetic catalogue of so many items and with one epoch a stage."""
    dataset = synthetic.Config(items=items, users=max(200, items // 4), shortest=10, longest=30)
    catalog = dataclasses.replace(
        recipe.catalog, dataset=dataset, k_core=0, min_items=0, window_start="", window_end="", text=()
    )
    changed: Recipe = _alone(
        dataclasses.replace(
            recipe,
            name=f"calibrated-{items}",
            version="1",
            catalog=catalog,
            graph=dataclasses.replace(recipe.graph, epochs=1, validate_every=1),
            fused=dataclasses.replace(recipe.fused, training=_once(recipe.fused.training)),
            codes=dataclasses.replace(recipe.codes, training=_once(recipe.codes.training)),
            model=dataclasses.replace(recipe.model, training=_once(recipe.model.training)),
            metrics=dataclasses.replace(recipe.metrics, cutoffs=(1,), resamples=100),
            baseline=None,
            joint=None,
        )
    )
    return changed


def _once(training: Training) -> Training:
    return dataclasses.replace(training, epochs=1, patience=1, validate_every=1)


def _alone(value: Any) -> Any:
    """The settings with one worker a pool, inside the calling process."""
    if isinstance(value, Pool):
        return dataclasses.replace(value, workers=0)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _alone(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{k: v for k, v in changes.items() if v is not getattr(value, k)})
    return value


def calibrate(name: str, store: Store, seconds: float = SECONDS) -> list[Cost]:
    """Measure a recipe's stages on this machine; stores and returns their costs, of all that there was time for.

    Raises:
        MachineError: a stage could not be made; its own message is on standard error. Or there was no time for any.
    """
    ends, found, shares = time.monotonic() + seconds, dict[str, dict[int, Json]](), sharers(recipes.find(name))
    (store.root / PLACE).clear()
    for items, noun in itertools.product(SIZES, UNITS):
        LOG.info(f"{items:,} items: {noun}")
        measured = _measured(name, items, noun, store, ends - time.monotonic())
        if measured is None:
            break
        found.setdefault(noun, {})[items] = measured
    if not found:
        raise MachineError(
            f"plan --calibrate: '{name}' makes no catalog in {seconds:g} s; calibrate on a faster machine"
        )
    if left_out := [noun for noun in UNITS if noun not in found]:
        LOG.warning(f"plan --calibrate: {seconds:g} s did not suffice for {', '.join(left_out)}; no plan counts them")
    source = f"measured on {platform.node()}, {datetime.datetime.now(datetime.UTC).date()}, one epoch"
    costs = costs_of(found, source, shares=shares)
    text = json.dumps({"recipe": name, "costs": [dataclasses.asdict(cost) for cost in costs]}, indent=2)
    store.root.write(FILE, text.encode())
    return costs


def sharers(recipe: Recipe) -> dict[str, tuple[float, float]]:
    """Noun -> the cores, and the GPUs if any, that share its work at most: those of the stage's largest pool."""
    found = {}
    for noun in UNITS:
        config = getattr(recipe, noun)
        pools = [value for each in dataclasses.fields(config) if isinstance(value := getattr(config, each.name), Pool)]
        found[noun] = (
            max([1.0, *(pool.workers * pool.cpus for pool in pools)]),
            max([1.0, *(pool.workers * pool.gpus for pool in pools)]),
        )
    return found


def _measured(name: str, items: int, noun: str, store: Store, seconds: float) -> Json | None:
    """The figures of one stage; None where it takes longer than there is time for."""
    place = store.root / PLACE
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        words = [name, str(items), noun, place.uri, answer.name]
        command = [sys.executable, "-m", "unisid.capacity.measure", *words]
        try:
            done = subprocess.run(command, check=False, timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            raise MachineError(
                f"plan --calibrate: {noun} of '{name}' at {items} items could not be made, see above; "
                "the recipe must run on this machine"
            )
        measured: Json = json.loads(Path(answer.name).read_text())
    return measured


def costs_of(
    figures: Mapping[str, Mapping[Any, Mapping[str, Any]]],
    source: str,
    spread: float = SPREAD,
    shares: Mapping[str, tuple[float, float]] | None = None,
) -> list[Cost]:
    """The costs of the measured stages, from their figures by number of items (`measure.stage`).

    Args:
        shares: as `sharers` has them; None: any number of cores.
    """
    counts = {int(items): _counts(figures, items) for items in figures["catalog"]}
    costs = []
    for noun, unit in UNITS.items():
        points = {
            counts[int(items)][unit]: {**each, "items": counts[int(items)]["items"]}
            for items, each in figures.get(noun, {}).items()
            if "failed" not in each and int(items) in counts
        }
        if points:
            cores, gpus = (shares or {}).get(noun, (0.0, 0.0))
            costs.append(_cost(noun, unit, points, source, spread, cores, gpus))
    return costs


def _cost(
    noun: str,
    unit: Unit,
    points: Mapping[float, Mapping[str, Any]],
    source: str,
    spread: float,
    cores: float,
    gpus: float,
) -> Cost:
    """Of a stage that worked on a GPU, by the time that passed; of another, by the processor's.

    From one size alone all its time counts as proportional to units, and of its memory what the process added.
    """
    on_gpu = all(each.get("device_mib") for each in points.values())

    def fit(memory: str) -> Cost:
        read = {"seconds": ("seconds" if on_gpu else "cpu_seconds", 1), "memory": (memory, MEGABYTE)}
        read["disk"] = ("disk_mib", MEGABYTE)
        each = {x: {k: float(point[key]) * by for k, (key, by) in read.items()} for x, point in points.items()}
        return fitted(noun, unit, {x: figures | _known(noun, points[x]) for x, figures in each.items()}, source, spread)

    host = fit("peak_mib")
    if len(points) == 1:
        [(units, only)] = points.items()
        begun = float(only["before_mib"]) * MEGABYTE
        unit_memory = max(0.0, host.unit_memory - begun / units)
        host = dataclasses.replace(host, memory=begun, unit_memory=unit_memory, source=f"{source}, one size: at most")
    if not on_gpu:
        return dataclasses.replace(host, where="host", workers=cores)
    return dataclasses.replace(
        fit("device_mib"),
        source=host.source,
        workers=gpus,
        memory_of="device",
        host_memory=host.memory,
        unit_host_memory=host.unit_memory,
    )


def _known(noun: str, point: Mapping[str, Any]) -> dict[str, float]:
    """The counts of a run's record that its cost depends on besides its units, as `fitted` takes them."""
    counts: Mapping[str, float] = point.get("counts", {})
    found = {"items": float(point["items"])}
    if "lists" in point:
        found["lists"] = float(point["lists"])
    if "validation_targets" in counts:
        found["ranked"] = float(counts["validation_targets"])
    if noun == "sequences" and "longest_history" in counts:
        found["group"] = float(ROWS_PER_GROUP * counts["longest_history"])
    return found


def _counts(figures: Mapping[str, Mapping[Any, Mapping[str, Any]]], items: Any) -> dict[str, float]:
    catalog = figures["catalog"][items].get("counts", {})
    tokens = figures.get("embeddings", {}).get(items, {}).get("counts", {}).get("tokens", 0)
    return {
        "items": float(catalog["items"]),
        "interactions": float(catalog["interactions"]),
        "users": float(catalog["test"]),
        "tokens": float(tokens),
    }


def kept(store: Store) -> list[Cost]:
    """The costs that are kept in a store; raises ArtifactError where there are none, or they cannot be read."""
    if not store.root.exists(FILE):
        raise ArtifactError(f"{store.root}: nothing was calibrated here; `unisid plan RECIPE --calibrate` does it")
    try:
        found = [Cost(**cast(dict[str, Any], each)) for each in json.loads(store.root.read(FILE))["costs"]]
        if any(not cost.workers for cost in found):  # as they were written before it was measured
            raise ValueError("how many workers shared the work is not among them")
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{store.root}/{FILE}: holds no costs ({error}); calibrate again") from None
