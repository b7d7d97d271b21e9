"""Turns target ranks into metrics; shared by all methods.

S samples, B of them, k items of a list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES, write_ranks
from unisid.artifacts.store import Place
from unisid.baselines import Baseline, rank_and_list
from unisid.compute import Compute, Step
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.evaluation.figures import intervals
from unisid.ops.by_user import Users
from unisid.ops.ranking import metric_names, metric_values
from unisid.progress import Progress

Ranks = dict[str, Float[np.ndarray, " _"]]
"""History rule -> the targets' ranks, NaN where not ranked."""


@dataclass(frozen=True)
class Ranked:
    """A method's ranks of the samples, and its lists."""

    ranks: Ranks
    listed: Int[np.ndarray, "S k"]
    """Its first items, history excluded; -1 fills up."""


class Lists:
    """The lists of all samples, from the tables of parts in any order."""

    def __init__(self, num_samples: int, length: int) -> None:
        self.items = np.full((num_samples, length), -1, np.int32)

    def see(self, table: pa.Table) -> None:
        """Keep a part's column `listed`, by its `row`."""
        found = table["listed"].combine_chunks().flatten().to_numpy()
        self.items[table["row"].to_numpy()] = found.reshape(table.num_rows, self.items.shape[1])


def as_lists(items: Int[np.ndarray, "B k"]) -> pa.Array:
    """Items as a column of lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(items.reshape(-1), pa.int32()), items.shape[1])


def check_cutoffs(cutoffs: tuple[int, ...], where: str) -> None:
    """Raise ConfigError for cut-offs below 1, or that are given twice."""
    if min(cutoffs, default=1) < 1:
        raise ConfigError(f"{where}: {', '.join(map(str, cutoffs))}; must be at least 1")
    if len(set(cutoffs)) < len(cutoffs):
        raise ConfigError(f"{where}: {', '.join(map(str, cutoffs))}; must be different")


def usable_cutoffs(wanted: tuple[int, ...], num_items: int, where: str, of: str = "catalogue's") -> tuple[int, ...]:
    """The cut-offs given, or the standard ones that fit the catalogue.

    Args:
        where: the setting's name, for the error.
        of: whose items these are, for the error.
    """
    if max(wanted, default=0) > num_items:
        raise ConfigError(
            f"{where}: {max(wanted)} is more than the {of} {num_items} items; must be at most {num_items}"
        )
    return tuple(sorted(set(wanted))) or tuple(k for k in CUTOFFS if k <= num_items)


def rank_in_parts(
    compute: Compute,
    step: Step,
    progress: Progress,
    rows_per_part: int,
    columns: Sequence[str] = HISTORY_RULES,
    see: Callable[[pa.Table], None] = lambda table: None,
) -> Ranks:
    """Ranks of all samples, as many as `progress` counts, by the workers of the step's pool.

    Args:
        step: turns `start` and `stop` into a table of `row` and ranks.
        columns: of that table, which hold ranks.
        see: given every such table, for what it holds besides.
    """
    num_samples = progress.total
    parts = [
        {"start": start, "stop": min(start + rows_per_part, num_samples)}
        for start in range(0, num_samples, rows_per_part)
    ]
    ranks = {column: np.full(num_samples, np.nan) for column in columns}
    for table in compute.map(parts, step):
        rows = table["row"].to_numpy()
        for column in columns:
            ranks[column][rows] = table[column].to_numpy()
        see(table)
        progress.advance(len(rows))
    return ranks


def rank_baseline(
    baseline: Baseline, catalog: Catalog, rows: Int[np.ndarray, " S"], length: int, progress: Progress | None = None
) -> Ranked:
    """A baseline's ranks of the samples, and lists of its first items."""
    found = []
    for part in rank_and_list(baseline, catalog, rows, length):
        found.append(part)
        if progress is not None:
            progress.advance(len(part[0]))
    excluded, allowed, listed = (np.concatenate(part) for part in zip(*found, strict=True))
    return Ranked({"excluded": excluded, "allowed": allowed}, listed.astype(np.int32))


def write_method(place: Place, method: str, ranks: Ranks, catalog: Catalog, rows: Int[np.ndarray, " S"]) -> None:
    """Write a method's ranks of the samples."""
    columns = {rule: pa.array(ranks[rule], from_pandas=True) for rule in HISTORY_RULES}
    write_ranks(place, method, pa.table({"user": catalog.user[rows], "target": catalog.item[rows], **columns}))


def summarise(ranks: Ranks, users: Users, cutoffs: tuple[int, ...], resamples: int, seed: int) -> Json:
    """History rule -> metric -> its mean and 95% bootstrap interval over users."""
    summary = {}
    for rule in HISTORY_RULES:
        found = intervals(metric_values(ranks[rule], cutoffs), users, cutoffs, resamples, seed)
        summary[rule] = {name: asdict(each) for name, each in found.items()}
    return summary


def headline(cutoffs: tuple[int, ...]) -> list[str]:
    """The metrics that stand for all: at 10, or at the largest cut-off where there is no 10."""
    return metric_names((main_cutoff(cutoffs),))


def main_cutoff(cutoffs: tuple[int, ...]) -> int:
    """10, or the largest cut-off where there is no 10."""
    return 10 if 10 in cutoffs else cutoffs[-1]


def means(results: Mapping[str, Json], names: list[str]) -> Json:
    """method -> history rule -> metric -> mean, of these metrics."""
    return {m: {r: {n: results[m][r][n]["mean"] for n in names} for r in HISTORY_RULES} for m in results}


def spell(chosen: Mapping[str, float]) -> str:
    """The values chosen on validation as text, each after a comma."""
    return "".join(f", {name} {value:.4g}" for name, value in chosen.items())
