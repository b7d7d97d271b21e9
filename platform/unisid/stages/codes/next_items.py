"""How often the item that a user took next is among the nearest of the one before, by the vectors that get codes.

It is FORGE's embedding hit rate (arXiv 2509.20904), of validation's steps, in one streaming pass over the vectors.
S steps, R rows of a part, D width.
"""

import functools
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.shards import Shards
from unisid.compute import Job, Step
from unisid.evaluation.next_items import AT_ONCE, STEPS, found_among, held_out_steps, unit_length
from unisid.progress import mapped
from unisid.stages.codes.moments import row_parts

PAIRS = 10**8
"""Pairs of a step and an item that are compared, where that leaves `FEWEST` steps."""
FEWEST = 500
TIE = 1e-6
"""Cosines in float32 that differ by less are equal."""


def embedding_hit_rate(job: Job[Any], catalog: Catalog, vectors: Shards) -> float | None:
    """The share of held-out steps whose target is among the 50 items nearest to the item before; None without steps.

    Equally near items share the places left, as in `evaluation.next_items.share_found`.
    """
    count = len(vectors)
    steps = held_out_steps(catalog, np.arange(count), min(STEPS, max(FEWEST, PAIRS // count)))
    if not len(steps):
        return None
    nearer, equal = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.int64)
    step = Step(functools.partial(_compare, vectors, steps), job.config.pool)
    for table in mapped(job, row_parts(count), step, "parts", of="next items"):
        nearer += table["nearer"].to_numpy()
        equal += table["equal"].to_numpy()
    return found_among(nearer, equal) / len(steps)


def _compare(vectors: Shards, steps: Int[np.ndarray, "S 2"]) -> Any:
    before, target = (unit_length(vectors.read("vector", own)) for own in steps.T)
    own = (before * target).sum(1)

    def compare(part: pa.Table) -> pa.Table:
        """How many items of a part are nearer to each step's first item than its target, and how many as near."""
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = unit_length(vectors.read("vector", np.arange(start, stop)))
        found = []
        for first in range(0, len(steps), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            further = before[some] @ rows.T - own[some, None]
            itself = steps[some, 0] - start
            here = np.flatnonzero((itself >= 0) & (itself < len(rows)))
            further[here, itself[here]] = -np.inf
            wanted = steps[some, 1] - start
            here = np.flatnonzero((wanted >= 0) & (wanted < len(rows)))
            further[here, wanted[here]] = 0.0  # as near as itself, however its cosine was rounded
            found.append(((further > TIE).sum(1), (np.abs(further) <= TIE).sum(1)))
        nearer, equal = (np.concatenate(each) for each in zip(*found, strict=True))
        return pa.table({"nearer": nearer, "equal": equal})

    return compare
