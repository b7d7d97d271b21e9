"""Measures the rates of this machine: a recipe's stages at two small sizes of a synthetic catalogue, one pass each.

Every stage runs in a process of its own, so that its peak memory can be read. The costs are kept in the store, as
`capacity.json`.
"""

import dataclasses
import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from unisid.artifacts.store import Store
from unisid.capacity import Cost, Unit, fitted
from unisid.compute import Pool
from unisid.config import Json
from unisid.datasets import synthetic
from unisid.errors import ArtifactError, MachineError
from unisid.log import logger
from unisid.planning import Recipe
from unisid.training.loop import Training

LOG = logger(__name__)

FILE = "capacity.json"
SIZES = (1_000, 4_000)
"""Items of the runs."""
SECONDS = 120.0
"""After so long no further stage begins."""
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
    """Measure a recipe's stages on this machine; stores and returns their costs.

    Raises:
        MachineError: a stage could not be made; its own message is on standard error.
    """
    begun, found = time.monotonic(), dict[str, dict[int, Json]]()
    for items in SIZES:
        for noun in UNITS:
            if time.monotonic() - begun > seconds and len(found) == len(UNITS):
                break
            LOG.info(f"{items:,} items: {noun}")
            found.setdefault(noun, {})[items] = _measured(name, items, noun, store)
    costs = costs_of(found, f"measured on {platform.node()}, {datetime.datetime.now(datetime.UTC).date()}")
    text = json.dumps({"recipe": name, "costs": [dataclasses.asdict(cost) for cost in costs]}, indent=2)
    store.root.write(FILE, text.encode())
    return costs


def _measured(name: str, items: int, noun: str, store: Store) -> Json:
    place = store.root / "calibration"
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        words = [name, str(items), noun, place.uri, answer.name]
        done = subprocess.run([sys.executable, "-m", "unisid.capacity.measure", *words], check=False)
        if done.returncode:
            raise MachineError(
                f"plan --calibrate: {noun} of '{name}' at {items} items could not be made, see above; "
                "the recipe must run on this machine"
            )
        measured: Json = json.loads(Path(answer.name).read_text())
    return measured


def costs_of(figures: Mapping[str, Mapping[Any, Mapping[str, Any]]], source: str, spread: float = SPREAD) -> list[Cost]:
    """The costs of the measured stages, from their figures by number of items (`measure.stage`)."""
    counts = {int(items): _counts(figures, items) for items in figures["catalog"]}
    costs = []
    for noun, unit in UNITS.items():
        points = {
            counts[int(items)][unit]: {
                "seconds": float(each["cpu_seconds"]),
                "memory": float(each["peak_mib"]) * MEGABYTE,
                "disk": float(each["disk_mib"]) * MEGABYTE,
            }
            for items, each in figures.get(noun, {}).items()
            if "failed" not in each and int(items) in counts
        }
        if points:
            costs.append(fitted(noun, unit, points, source, spread))
    return costs


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
        return [Cost(**cast(dict[str, Any], each)) for each in json.loads(store.root.read(FILE))["costs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{store.root}/{FILE}: holds no costs ({error}); calibrate again") from None
