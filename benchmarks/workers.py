"""Bytes that 1, 2, 4 and 8 workers send one another a step, beside the formula, and what they come to beside one.

python -m benchmarks.workers      (Linux, as root: each run lies in a network namespace of its own)

A run makes graph, fused, codes (RQ-VAE) and model (the recommender over items) of a planted catalogue in processes of
this machine, joined by gloo over the loopback interface of a namespace that nothing else uses. Its counter is read
before and after each fit; two lengths of training give the bytes a step without those of beginning and ending. Eight
workers on two cores say nothing about speed.

The formula counts what a ring sends in all, W workers: 2 (W - 1) n for a sum of n bytes, (W - 1) n for n bytes that
are gathered from all. Headers and acknowledgements come on top.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from tests.end_to_end.recipes import planted
from unisid import pipeline
from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.store import Place, Store
from unisid.backbones import hierarchical
from unisid.compute import Pool, Report
from unisid.fusion import uqf
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

WORKERS = (1, 2, 4, 8)
LENGTHS = (2, 6)
"""Epochs of the two runs."""
STAGES = ("graph", "fused", "codes", "model")
ITEMS, USERS, BATCH, WIDTH, LATENT = 800, 1600, 128, 64, 32
FLOAT, DOUBLE = 4, 8


def main() -> dict[str, Any]:
    """By stage and number of workers: bytes a step, those of the formula, seconds, and the last loss."""
    result: dict[str, Any] = {"items": ITEMS, "users": USERS, "batch": BATCH}
    with tempfile.TemporaryDirectory() as folder:
        for workers in WORKERS:
            short, long = (_apart(workers, epochs, Path(folder)) for epochs in LENGTHS)
            for stage in STAGES:
                figures = of_stage(stage, workers, short[stage], long[stage])
                result.setdefault(stage, {})[f"workers_{workers}"] = figures
                print(stage, workers, json.dumps(figures), flush=True)
    return result


def recipe(workers: int, epochs: int) -> Recipe:
    """Every stage by so many workers and epochs, without a validation before the last."""
    base, pool = planted("wire", items=ITEMS, users=USERS), Pool(workers=workers)
    training = Training(epochs=epochs, validate_every=epochs, patience=epochs)
    assert isinstance(base.fused.fusion, uqf.Config)
    still = replace(base.fused.fusion, dropout=0.0)  # workers draw masks of their own
    return replace(
        base,
        graph=replace(base.graph, batch_edges=2048, epochs=epochs, validate_every=epochs, pool=pool),
        fused=replace(base.fused, fusion=still, batch_size=BATCH, training=training, pool=pool),
        codes=replace(
            base.codes,
            tokenizer=rqvae.Config(num_levels=3, codebook_size=32, widths=(64, 32), restart_after=0),
            batch_size=BATCH,
            training=training,
            pool=pool,
        ),
        model=replace(
            base.model,
            backbone=hierarchical.Config(width=32, num_layers=1, memory=None, content=()),
            batch_size=BATCH,
            samples_per_epoch=0,
            training=training,
            pool=pool,
        ),
    )


class Counted(LocalCompute):
    """Counts bytes and seconds of each fit."""

    def __init__(self) -> None:
        self.fits: dict[str, dict[str, Any]] = {}

    def fit(self, train: Any, task: Any, *, name: str, report: Any = None, **more: Any) -> Any:
        """The fit, and what it sent; the figures of its last report stand beside it."""
        last: dict[str, float] = {}

        before, begun = sent(), time.perf_counter()
        outcome = super().fit(train, task, name=name, report=remembering(last, report), **more)
        self.fits[name.partition("/")[0]] = {
            "bytes": sent() - before,
            "seconds": time.perf_counter() - begun,
            "last": last,
        }
        return outcome


def remembering(last: dict[str, float], report: Report | None) -> Report:
    """What passes a fit's reports on, and keeps their figures in `last`."""

    def told(metrics: Mapping[str, float]) -> None:
        last.update({key: value for key, value in metrics.items() if isinstance(value, int | float)})
        if report is not None:
            report(metrics)

    return told


def sent() -> int:
    """Bytes that the loopback interface has sent."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[8])
    raise OSError("no loopback interface")


def inside(workers: int, epochs: int, folder: Path) -> None:
    """In the namespace: make the stages, and print what each fit sent, as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    compute, store = Counted(), Store(Place.of(folder / f"{workers}-{epochs}"))
    places = pipeline.run(recipe(workers, epochs), store, compute, pipeline.NullTracker(), "model")
    print(json.dumps(measured(compute.fits, places)))


def measured(fits: Mapping[str, dict[str, Any]], places: Mapping[str, Place]) -> dict[str, dict[str, Any]]:
    """Fits with the sizes that the formula asks for: parameters of what they made, and the graph's edges."""
    edges = {"graph": {"edges": int((Catalog.read(places["catalog"]).split == TRAIN).sum())}}
    return {noun: fit | {"parameters": _parameters(places[noun])} | edges.get(noun, {}) for noun, fit in fits.items()}


def _parameters(place: Place) -> int:
    """Numbers in the artifact's weights."""
    count = 0
    for path in Path(place.filesystem[1]).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            count += sum(math.prod(file.get_slice(name).get_shape()) for name in tuple(file.keys()))
    return count


def _apart(workers: int, epochs: int, folder: Path) -> dict[str, Any]:
    program = [sys.executable, "-m", "benchmarks.workers", str(workers), str(epochs), str(folder)]
    done = subprocess.run(["unshare", "--net", *program], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def of_stage(stage: str, workers: int, short: dict[str, Any], long: dict[str, Any]) -> dict[str, Any]:
    """Bytes a step and those of the formula, from a fit of each length."""
    steps = long["last"]["step"] - short["last"]["step"]
    found = (long["bytes"] - short["bytes"]) / steps
    edges = long.get("edges", 0) * (LENGTHS[1] - LENGTHS[0]) / steps
    expected = (workers - 1) * _sent_for_each(stage, long["parameters"], edges)
    return {
        "steps": steps,
        "bytes_a_step": round(found),
        "formula": round(expected),
        "bytes_over_formula": round(found / expected, 3) if expected else None,
        "loss": long["last"]["loss"],
        "seconds": round(long["seconds"], 1),
    }


def _sent_for_each(stage: str, parameters: int, edges: float) -> float:
    """Bytes of a step that are sent for every worker but the first; `edges` are those of a step of the graph."""
    gradient = 2 * FLOAT * parameters
    if stage == "graph":
        return 2 * DOUBLE * 2 * edges  # two dot products an edge, summed
    if stage == "fused":
        return gradient + 3 * FLOAT * BATCH * 2 * WIDTH  # two positives a row, gathered; their gradients, summed
    if stage == "codes":
        return gradient + FLOAT * BATCH * LATENT  # latents, gathered without a gradient
    return gradient


if __name__ == "__main__":
    if len(sys.argv) > 1:
        inside(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(main(), indent=2))
