"""Makes the sequences: every sample of the catalog, one table a split, and every user's training sequence.

A part is one file: a range of a table's rows, which for training are in an order drawn by seed. S samples,
E interactions, U users, n of them.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import SPLITS, TRAIN, VALID, Catalog
from unisid.artifacts.sequences import USERS
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.bounds import Seed, Settings
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json, runtime
from unisid.errors import DataError
from unisid.progress import Progress

ROWS_PER_FILE = 1 << 17
ROWS_PER_GROUP = 1 << 13
"""The least that a reader decodes at a time."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """What a training sample is."""

    sliding_window: bool = True
    """Every training interaction is a target, with those before it as its history; else only each user's last one."""
    seed: Seed = 42
    """Of the order of training samples."""
    pool: Pool = runtime(Pool())
    """The workers that write files."""


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog",)


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Write the tables; the counts are the rows of each, how many windows of `history_length` targets the users'
    sequences make, and the longest history in items."""
    catalog = Catalog.read(job.inputs["catalog"])
    sizes = {name: len(_rows(catalog, name, job.config)) for name in (*SPLITS, USERS)}
    for split in (TRAIN, VALID):
        if not sizes[SPLITS[split]]:
            raise DataError(
                f"{catalog.place}: no {SPLITS[split]} sample; a user with two interactions of that split "
                "or earlier is needed"
            )
    parts: list[Part] = [
        {"table": name, "file": file, "start": start, "stop": min(start + ROWS_PER_FILE, size)}
        for name, size in sizes.items()
        for file, start in enumerate(range(0, max(1, size), ROWS_PER_FILE))
    ]
    writer = functools.partial(_writer, catalog.place, job.out, job.config)
    longest = histories = 0
    progress = Progress(job.report, len(parts), "files")
    for counted in job.compute.map(parts, Step(writer, job.config.pool)):
        longest = max(longest, counted["longest_history"][0].as_py())
        histories += counted["histories_of_one"][0].as_py()
        progress.advance()
    windows = -(-(_training_lengths(catalog)[_users(catalog)] - 1) // catalog.history_length)
    return {**sizes, "windows": int(windows.sum()), "longest_history": longest, "histories_of_one": histories}


def _rows(catalog: Catalog, name: str, config: Config) -> Int[np.ndarray, " S"]:
    """The rows of a table in the order they are stored: interactions that are targets, or users."""
    if name == USERS:
        return np.random.default_rng(config.seed).permutation(_users(catalog))
    if name != SPLITS[TRAIN]:
        return catalog.samples(SPLITS.index(name))
    return np.random.default_rng(config.seed).permutation(training_rows(catalog, config.sliding_window))


def training_rows(catalog: Catalog, sliding_window: bool) -> Int[np.ndarray, " S"]:
    """The interactions that are targets of training samples, ascending."""
    rows = catalog.samples(TRAIN)
    return rows if sliding_window else rows[np.append(np.diff(catalog.user[rows]) != 0, True)[: len(rows)]]


def _users(catalog: Catalog) -> Int[np.ndarray, " _"]:
    """The users of at least two training interactions: one has no next item to learn from."""
    return np.flatnonzero(_training_lengths(catalog) > 1)


def _training_lengths(catalog: Catalog) -> Int[np.ndarray, " U"]:
    """How many training interactions every user has."""
    return np.bincount(catalog.user[catalog.split == TRAIN], minlength=catalog.num_users)


def _writer(catalog_at: Place, out: Place, config: Config) -> Callable[[pa.Table], pa.Table]:
    """The map's step, with what a worker keeps between parts: the catalog and each table's rows."""
    catalog = Catalog.read(catalog_at)
    rows_of = functools.cache(lambda name: _rows(catalog, name, config))

    def write(part: pa.Table) -> pa.Table:
        name, file, start, stop = (part[key][0].as_py() for key in ("table", "file", "start", "stop"))
        rows = rows_of(name)[start:stop]
        table = training_sequences(catalog, rows) if name == USERS else samples(catalog, rows)
        write_table(out, name, file, table, ROWS_PER_GROUP)
        lengths = table["history"].combine_chunks().value_lengths().to_numpy()
        of_samples = name != USERS
        return pa.table(
            {
                "longest_history": [int(lengths.max(initial=0)) * of_samples],
                "histories_of_one": [int((lengths == 1).sum()) * of_samples],
            }
        )

    return write


def samples(catalog: Catalog, rows: Int[np.ndarray, " S"]) -> pa.Table:
    """The samples whose targets are the given interactions, with the columns of `artifacts.sequences`."""
    items, lengths = catalog.history(rows)
    return pa.table(
        {
            "user": pa.array(catalog.user[rows], pa.int32()),
            "history": _lists(items, lengths),
            "target": pa.array(catalog.item[rows], pa.int32()),
        }
    )


def training_sequences(catalog: Catalog, users: Int[np.ndarray, " n"]) -> pa.Table:
    """All training items of some users, oldest first, with the columns `user` and `history`."""
    starts = catalog.offsets[users]
    spans = catalog.offsets[users + 1] - starts
    rows = np.repeat(starts - (np.cumsum(spans) - spans), spans) + np.arange(spans.sum())
    kept = catalog.split[rows] == TRAIN
    lengths = np.bincount(np.repeat(np.arange(len(users)), spans)[kept], minlength=len(users))
    return pa.table({"user": pa.array(users, pa.int32()), "history": _lists(catalog.item[rows[kept]], lengths)})


def _lists(items: Int[np.ndarray, " E"], lengths: Int[np.ndarray, " n"]) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(items, pa.int32()))
