"""Unique semantic ids for a million vectors: time, memory, uniqueness; and what a plain loop would have made of it.

    python -m benchmarks.codes

The stage itself runs: k-means codebooks from a sample, encoding, resolution, quality report, files. The peer resolves
the same collisions item by item: every item takes the nearest code that is left in its prefix. FAISS's own residual
quantizer is a yardstick for the reconstruction error. N items, D width, L levels, K codes.
"""

import json
import logging
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import TRAIN, write_interactions
from unisid.artifacts.fused import Fused
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.compute import Job
from unisid.config import to_record
from unisid.log import logged_to
from unisid.ops.assignment import distinct_codes
from unisid.ops.prefixes import row_keys
from unisid.ops.residual import lookup, squared_distances
from unisid.runtime.local import LocalCompute
from unisid.stages import codes as stage
from unisid.stages.codes.unique import crowded
from unisid.tokenizers import Tokenizer, read_tokenizer, rqkmeans

WIDTH, SHARD_ROWS = 64, 1 << 17


def main(items: int = 1_000_000, peer_items: int = 50_000) -> dict[str, Any]:
    """One run, all figures; raises AssertionError where ids are not unique or the loop comes out nearer than we do."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place.of(folder)
        write_inputs(place, items)
        config = stage.Config(tokenizer=rqkmeans.Config(num_levels=3, codebook_size=256, restarts=1, sample=65_536))
        lines = Times()
        begun = time.perf_counter()
        job = Job(
            config=config,
            inputs={n: place / n for n in ("catalog", "fused")},
            out=place / "codes",
            name="bench",
            compute=LocalCompute(),
            report=lambda metrics: None,
        )
        with Memory() as memory, logged_to(lines, logging.INFO):
            counts = stage.make(job)
        seconds = time.perf_counter() - begun
        codes = np.stack(read_table(job.out, "items", ["codes"])["codes"].to_numpy())
        assert len(np.unique(row_keys(codes))) == items
        tokenizer = read_tokenizer(job.out)
        vectors = Fused.read(job.inputs["fused"]).vectors
        return {
            "items": items,
            "width": WIDTH,
            "sizes": counts["sizes"],
            "seconds": seconds,
            "seconds_to_fit_and_encode": lines.times[-1] - begun,
            "peak_gigabytes": memory.peak,
            "quality": counts["quality"],
            "peer_loop": loop_peer(tokenizer, vectors(np.arange(min(peer_items, items)))),
            "faiss_residual_quantizer": faiss_yardstick(tokenizer, vectors(np.arange(min(65_536, items)))),
        }


class Times(logging.Handler):
    """When each line was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.times.append(time.perf_counter())


def write_inputs(place: Place, items: int) -> None:
    """Clusters in clusters, shard by shard, so that the input's own making needs no memory; two buyers an item."""
    random = np.random.default_rng(0)
    coarse, fine = random.normal(size=(256, WIDTH)), 0.5 * random.normal(size=(4096, WIDTH))
    for index, start in enumerate(range(0, items, SHARD_ROWS)):
        count = min(SHARD_ROWS, items - start)
        noise = 0.25 * random.normal(size=(count, WIDTH))
        vectors = coarse[random.integers(0, 256, count)] + fine[random.integers(0, 4096, count)] + noise
        columns = {"vector": to_arrow(vectors.astype(np.float32)), "text_only": to_arrow(np.zeros(count, bool))}
        write_shard(place / "fused", "vectors", index, pa.table(columns))
    write_record(place / "fused", Record(address="fused/b/1", config={}, inputs={}, counts={"width": WIDTH}))
    user = np.arange(2 * items) // 20
    write_interactions(place / "catalog", user, random.integers(0, items, 2 * items), user, np.full(2 * items, TRAIN))
    counts = {"items": items, "users": int(user[-1]) + 1}
    write_record(
        place / "catalog", Record(address="catalog/b/1", config=to_record(stage.Config()), inputs={}, counts=counts)
    )


def loop_peer(tokenizer: Tokenizer, vectors: NDArray[np.float32]) -> dict[str, float]:
    """Last-level codes of the same colliding prefixes, by the loop and by linear assignment; time and distance."""
    distances, starts = colliding_groups(tokenizer, vectors)
    begun = time.perf_counter()
    ours = distinct_codes(distances, starts)
    ours_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    theirs = np.empty(len(distances), np.int64)
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        taken: set[int] = set()
        for row in range(first, last):
            code = next(k for k in np.argsort(distances[row]).tolist() if k not in taken)
            taken.add(code)
            theirs[row] = code
    loop_seconds = time.perf_counter() - begun
    rows = np.arange(len(distances))
    ours_distance, loop_distance = (float(distances[rows, c].sum(dtype=np.float64)) for c in (ours, theirs))
    for codes in (ours, theirs):
        keys = np.repeat(np.arange(len(starts) - 1), np.diff(starts)) * distances.shape[1] + codes
        assert len(np.unique(keys)) == len(keys)
    assert ours_distance <= loop_distance * (1 + 1e-6), (ours_distance, loop_distance)
    return {
        "items": len(distances),
        "ours_seconds": ours_seconds,
        "loop_seconds": loop_seconds,
        "times_faster": loop_seconds / ours_seconds,
        "ours_distance": ours_distance,
        "loop_distance": loop_distance,
        "loop_distance_over_ours": loop_distance / ours_distance,
    }


def colliding_groups(
    tokenizer: Tokenizer, vectors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distances [n, K] to the last codebook of all items in prefixes with a collision, and where prefixes start."""
    latents = tokenizer.latent(tokenizer.standardise(torch.from_numpy(vectors)))
    codes = tokenizer.encode(torch.from_numpy(vectors))
    size, levels = tokenizer.codebooks.shape[1], tokenizer.codebooks.shape[0]
    rows, starts = crowded(codes.int().numpy(), (size,) * levels, levels - 1)
    residual = latents[rows] - lookup(codes[rows, :-1], tokenizer.codebooks)
    return squared_distances(residual, tokenizer.codebooks[-1]).numpy(), starts


def faiss_yardstick(tokenizer: Tokenizer, vectors: NDArray[np.float32]) -> dict[str, float]:
    """Mean squared error, standardised, of our codebooks and of FAISS's residual quantizer of the same size."""
    standard = tokenizer.standardise(torch.from_numpy(vectors))
    ours = tokenizer.standardise(tokenizer.decode(tokenizer.encode(torch.from_numpy(vectors))))
    bits = int(tokenizer.codebooks.shape[1]).bit_length() - 1
    quantizer = faiss.ResidualQuantizer(standard.shape[1], len(tokenizer.codebooks), bits)
    quantizer.max_beam_size = 1  # one path, as ours
    begun = time.perf_counter()
    quantizer.train(standard.numpy())
    seconds = time.perf_counter() - begun
    theirs = quantizer.decode(quantizer.compute_codes(standard.numpy()))
    error = [float(np.square(found - standard.numpy()).mean()) for found in (ours.numpy(), theirs)]
    return {
        "items": len(vectors),
        "ours_error": error[0],
        "faiss_error": error[1],
        "ours_over_faiss": error[0] / error[1],
        "faiss_seconds": seconds,
    }


class Memory:
    """The most resident memory while it watches, in GB: anonymous pages and memory-mapped files alike."""

    def __enter__(self) -> "Memory":
        self.peak, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.peak = max(self.peak, pages * resource.getpagesize() / 1e9)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
