"""Makes the sequences: every sample of the catalog in semantic-id tokens, one table a split.

A part is one file: a range of the split's samples, which for training are in an order drawn by seed. S samples,
L levels, E interactions.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.catalog import SPLITS, TRAIN, VALID, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.bounds import Seed, Settings
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json, runtime
from unisid.errors import ArtifactError, DataError
from unisid.stages.progress import Progress

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
    return ("catalog", "codes")


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job) -> Json:
    """Write the tables; the counts are the samples of each split and the longest history in tokens."""
    catalog, codes = Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    if len(codes.codes) != catalog.num_items:
        raise ArtifactError(f"{codes.place}: has codes for {len(codes.codes)} items, the catalog {catalog.place} has "
                            f"{catalog.num_items}; both must come from one recipe")  # fmt: skip
    sizes = {split: len(_targets(catalog, split, job.config)) for split in range(len(SPLITS))}
    for split in (TRAIN, VALID):
        if not sizes[split]:
            raise DataError(f"{catalog.place}: no {SPLITS[split]} sample; a user with two interactions of that split "
                            "or earlier is needed")  # fmt: skip
    parts: list[Part] = [
        {"split": split, "file": file, "start": start, "stop": min(start + ROWS_PER_FILE, size)}
        for split, size in sizes.items()
        for file, start in enumerate(range(0, max(1, size), ROWS_PER_FILE))
    ]
    writer = functools.partial(_writer, catalog.place, codes.place, job.out, job.config)
    tokens = histories = 0
    progress = Progress(job, len(parts), "files")
    for counted in job.compute.map(parts, Step(writer, job.config.pool)):
        tokens = max(tokens, counted["max_tokens"][0].as_py())
        histories += counted["histories_of_one"][0].as_py()
        progress.advance()
    named = {SPLITS[split]: size for split, size in sizes.items()}
    return {**named, "max_tokens": tokens, "histories_of_one": histories}


def _targets(catalog: Catalog, split: int, config: Config) -> NDArray[np.int64]:
    """The interactions [S] that are targets of a split, in the order they are stored."""
    rows = catalog.samples(split)
    if split != TRAIN:
        return rows
    if not config.sliding_window:
        last = np.append(np.diff(catalog.user[rows]) != 0, True)[: len(rows)]
        rows = rows[last]
    return np.random.default_rng(config.seed).permutation(rows)


def _writer(catalog_at: Place, codes_at: Place, out: Place, config: Config) -> Callable[[pa.Table], pa.Table]:
    """What a worker keeps: the catalog, the codes and each split's targets."""
    catalog, codes = Catalog.read(catalog_at), Codes.read(codes_at)
    targets = functools.cache(lambda split: _targets(catalog, split, config))

    def write(part: pa.Table) -> pa.Table:
        split, file, start, stop = (part[name][0].as_py() for name in ("split", "file", "start", "stop"))
        rows = targets(split)
        table = samples(catalog, codes, rows[start:stop])
        write_table(out, SPLITS[split], file, table, ROWS_PER_GROUP)
        lengths = table["history"].combine_chunks().value_lengths().to_numpy()
        return pa.table(
            {
                "max_tokens": [int(lengths.max(initial=0)) * codes.num_levels],
                "histories_of_one": [int((lengths == 1).sum())],
            }
        )

    return write


def samples(catalog: Catalog, codes: Codes, rows: NDArray[np.int64]) -> pa.Table:
    """The samples whose targets are the given interactions [S], with the columns of `artifacts.sequences`."""
    items, lengths = catalog.history(rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = codes.tokens(items).astype(np.int32).reshape(-1)
    return pa.table(
        {
            "user": pa.array(catalog.user[rows], pa.int32()),
            "history": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(items, pa.int32())),
            "target": pa.array(catalog.item[rows], pa.int32()),
            "tokens": pa.ListArray.from_arrays(pa.array(offsets * codes.num_levels, pa.int32()), pa.array(tokens)),
        }
    )
