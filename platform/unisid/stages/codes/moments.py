"""Mean and spread of vectors per dimension, in one streaming pass; and the parts of such a pass. D width."""

import functools
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from unisid.artifacts.shards import Shards
from unisid.compute import Job, Part, Step
from unisid.errors import DataError
from unisid.progress import mapped
from unisid.stages.codes.unique import PART_ROWS


def row_parts(num_rows: int) -> list[Part]:
    """The rows in parts of PART_ROWS."""
    return [{"start": s, "stop": min(s + PART_ROWS, num_rows)} for s in range(0, num_rows, PART_ROWS)]


def moments(job: Job[Any], vectors: Shards) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """Mean and standard deviation per dimension; raises DataError that names rows which are not finite."""
    step = Step(functools.partial(_measure, vectors), job.config.pool)
    measured = mapped(job, row_parts(len(vectors)), step, "parts", of="moments")
    rows = [row for table in measured for row in table.to_pylist()]
    rows.sort(key=lambda row: row["start"])
    bad = [item for row in rows for item in row["bad"]]
    if bad:
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise DataError(
            f"{vectors.place}: NaN or infinite values in the vectors of items {shown} "
            f"({len(bad):,} of {len(vectors):,}); make the fused vectors anew"
        )
    counts = np.array([row["count"] for row in rows], np.float64)[:, None]
    means, squares = (np.array([row[key] for row in rows]) for key in ("mean", "squares"))
    mean = (counts * means).sum(0) / counts.sum()
    variance = (squares + counts * (means - mean) ** 2).sum(0) / counts.sum()
    std = np.sqrt(variance if job.config.scale == "dimension" else np.full_like(variance, variance.mean()))
    constant = std <= 1e-6 * np.abs(mean)
    return mean.astype(np.float32), np.where(constant, 1.0, std).astype(np.float32)


def _measure(vectors: Shards) -> Any:
    def measure(part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        values = vectors.read("vector", np.arange(start, stop)).astype(np.float64)
        bad = start + np.flatnonzero(~np.isfinite(values).all(1))
        values = np.where(
            np.isfinite(values), values, 0.0
        )  # an error names the bad ones; until then they shall not warn
        mean = values.mean(0)
        return pa.Table.from_pylist(
            [
                {
                    "start": start,
                    "count": stop - start,
                    "mean": mean.tolist(),
                    "squares": ((values - mean) ** 2).sum(0).tolist(),
                    "bad": bad.tolist(),
                }
            ],
            schema=_MEASURED,
        )

    return measure


_MEASURED = pa.schema(
    {
        "start": pa.int64(),
        "count": pa.int64(),
        "mean": pa.list_(pa.float64()),
        "squares": pa.list_(pa.float64()),
        "bad": pa.list_(pa.int64()),
    }
)
