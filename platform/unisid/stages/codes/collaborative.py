"""Collaborative vectors for the tokenizers that need them: the graph's item vectors in as few dimensions as set.

The mean over layers, projected to the directions in which most of it lies, which keeps dot products best; and scaled
so that a dimension's mean square is 1, for the graph's own scale depends on how long it learned. Items without
interactions stay zero. N items, n of them, G width of the graph, C dimensions set.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from unisid.artifacts.graph import Graph
from unisid.artifacts.store import Place
from unisid.compute import Job, Part, Step
from unisid.errors import DataError


@dataclass(frozen=True)
class Collaborative:
    """Where the vectors lie, and how they are projected."""

    graph: Graph
    projection: Float[np.ndarray, "G C"]

    def read(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n C"]:
        """Those of some items; zeros for items without interactions."""
        return self.graph.layers(rows).mean(1) @ self.projection


def collaborative(job: Job[Any], width: int, parts: list[Part]) -> Collaborative | None:
    """The vectors of the width that a tokenizer needs; None where it needs none."""
    if not width:
        return None
    place = job.inputs["graph"]
    graph, num_items = Graph.read(place), parts[-1]["stop"]
    if len(graph.items) != num_items:
        raise DataError(
            f"{place}: has {len(graph.items)} items, the fused vectors {num_items}; both must come from one catalog"
        )
    tables = list(job.compute.map(parts, Step(functools.partial(_products, place), job.config.pool)))
    tables.sort(key=lambda table: table["start"][0].as_py())
    known = sum(table["known"][0].as_py() for table in tables)
    products = sum(table["products"].combine_chunks().flatten().to_numpy() for table in tables)
    if not np.isfinite(products).all():
        raise DataError(f"{place}: NaN or infinite values in the item vectors; make the graph anew")
    if not known:
        raise DataError(
            f"{place}: no item has interactions, so codes have nothing to agree with; set "
            "codes.tokenizer.alignment_weight=0"
        )
    return Collaborative(graph, principal(products.reshape(graph.width, graph.width) / known, width))


def principal(products: Float[np.ndarray, "G G"], width: int) -> Float[np.ndarray, "G {width}"]:
    """The projection to the strongest directions of mean products, scaled to a mean square of 1.

    Where the graph has fewer dimensions than are set, the last ones are zero.
    """
    values, vectors = np.linalg.eigh(products)
    values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
    # A direction's sign is anybody's choice: the largest entry is positive.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    scale = math.sqrt(width / max(values.sum(), 1e-30))
    return np.pad(vectors * scale, ((0, 0), (0, width - vectors.shape[1]))).astype(np.float32)


def _products(place: Place) -> Callable[[pa.Table], pa.Table]:
    graph = Graph.read(place)

    def step(part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = np.arange(start, stop)
        vectors = graph.layers(rows).mean(1).astype(np.float64)
        known = int((graph.items.read("degree", rows) > 0).sum())
        return pa.table({"start": [start], "known": [known], "products": [(vectors.T @ vectors).reshape(-1)]})

    return step
