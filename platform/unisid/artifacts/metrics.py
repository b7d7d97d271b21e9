"""The metrics: how well each method ranks the test targets, and every single rank.

`metrics.json`: method -> history rule ("excluded" or "allowed") -> "HR@10" -> {"mean", "low", "high"}; old ones
have no MRR.
`groups.json`: method -> history rule -> group of samples -> {"samples", "HR@10", "NDCG@10", "MRR@10"}.
Table `listed-*.parquet`: `listed`, the recommender's first items for each test sample, history excluded (-1 fills up).
Tables `ranks-<method>-*.parquet`: `user`, `target`, `excluded`, `allowed`: the target's rank under each history
rule, ties counted half, null where the method did not rank it.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table, table_names, write_table
from unisid.artifacts.weights import read_json, write_json

CUTOFFS = (1, 3, 5, 10, 20, 50)
RANKS = ("user", "target", "excluded", "allowed")
"""The columns of a table of ranks."""
GROUPS, LISTED = "groups.json", "listed"
LEVELS = 4
"""Of names above a figure, at least."""
HistoryRule = Literal["excluded", "allowed"]
"""Whether the items that a user took before are ranked."""
HISTORY_RULES: tuple[str, ...] = get_args(HistoryRule)


def write_metrics(place: Place, results: dict[str, Any], comparisons: dict[str, Any]) -> None:
    """Write what all ranks come to: per method, and of the model against each baseline."""
    write_json(place, "metrics.json", results)
    write_json(place, "comparisons.json", comparisons)


def write_groups(place: Place, groups: dict[str, Any]) -> None:
    """Write the figures of every method by group of samples."""
    write_json(place, GROUPS, groups)


def write_listed(place: Place, listed: pa.Array) -> None:
    """Write the recommender's first items for each test sample, by item number."""
    write_table(place, LISTED, 0, pa.table({LISTED: listed}))


def write_ranks(place: Place, method: str, ranks: pa.Table) -> None:
    """Write a method's ranks; columns as at the top."""
    write_table(place, f"ranks-{method}", 0, ranks)


@dataclass(frozen=True)
class Metrics:
    """Read metrics."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Metrics":
        """Raises ArtifactError where no complete metrics are."""
        return cls(place, require(place, "metrics"))

    @property
    def test_samples(self) -> int:
        """How many test samples it ranked at most, as `Catalog.samples` draws them; 0 for all."""
        return int(self.record.config.get("test_samples", 0))

    def results(self) -> dict[str, Any]:
        """method -> history rule -> metric -> {"mean", "low", "high"}."""
        return read_figures(self.place, "metrics.json")

    def groups(self) -> dict[str, Any]:
        """method -> history rule -> group -> figures; empty for metrics that were made before there were any."""
        return read_figures(self.place, GROUPS) if self.place.exists(GROUPS) else {}

    def listed(self) -> NDArray[np.int32] | None:
        """[S, k] the recommender's first items, -1 fills up; None for metrics that were made before there were any."""
        return read_listed(self.place)

    def comparisons(self) -> dict[str, Any]:
        """baseline -> history rule -> metric -> {"difference", "low", "high", "p", "cohens_d"}."""
        return read_figures(self.place, "comparisons.json")

    def ranks(self, method: str) -> pa.Table:
        """Every test sample's user, target and rank under each history rule."""
        return read_ranks(self.place, method)


def read_figures(place: Place, name: str) -> dict[str, Any]:
    """Method -> history rule -> metric -> name -> number, or deeper. Raises ArtifactError for anything else."""
    found = read_json(place, name)
    inner: list[tuple[str, Any, int]] = [("", found, 0)]
    while inner:
        path, value, depth = inner.pop()
        if isinstance(value, dict):
            inner += [(f"{path}.{key}".lstrip("."), below, depth + 1) for key, below in value.items()]
        elif depth < LEVELS or not (value is None or isinstance(value, (int, float))):
            raise damaged(place, name, f"'{path}' is not method, history rule, metric and numbers")
    return found


def read_listed(place: Place) -> NDArray[np.int32] | None:
    """[S, k] what `write_listed` wrote; None where it wrote nothing."""
    if not table_names(place, LISTED):
        return None
    lists = read_table(place, LISTED, [LISTED])[LISTED].combine_chunks()
    found: NDArray[np.int32] = lists.flatten().to_numpy().reshape(len(lists), -1)
    return found


def read_ranks(place: Place, method: str) -> pa.Table:
    """A method's ranks; columns as at the top."""
    return read_table(place, f"ranks-{method}", RANKS)
