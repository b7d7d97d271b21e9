"""How much memory a catalog is sorted in: what a setting says, or what the raw data and the machine come to."""

import contextlib
import importlib.util

from unisid.errors import UnisidError
from unisid.footprint import memory
from unisid.log import logger
from unisid.stages import catalog as stage
from unisid.stages.catalog.on_disk.database import GIB
from unisid.stages.catalog.raw_sizes import raw_sizes

LOG = logger(__name__)

BYTES = 100
"""That an interaction takes at most while all are sorted in memory (docs/decisions/0021-catalogues-above-memory.md)."""
OWN = round(0.4 * GIB)
"""What the driver holds besides the memory that it sorts in, whatever the size (docs/scale.md)."""
MOST, TAKEN = 0.5, 0.25
"""Above this share of the machine's memory interactions are sorted on disk, in so much of it."""


def most_held(gib: float) -> float:
    """The bytes that the driver holds at most where a catalog is sorted in so many GiB, with the rest on disk."""
    return gib * GIB + OWN


def bound_of(config: stage.Config, rows: int) -> float:
    """The bytes that the driver holds at most while so many interactions become a catalog; 0 where no setting and no
    size puts them on disk. Nothing is logged."""
    gib = _by_size(rows) if config.memory is None else config.memory
    return most_held(gib) if gib else 0.0


def memory_of(config: stage.Config) -> float:
    """GiB of memory to sort in, with the rest on disk; 0 where all is sorted in the driver's memory. It is logged."""
    if config.memory is not None:
        if config.memory:
            LOG.info(f"sorting in {config.memory:g} GiB of memory, the rest on disk (catalog.memory)")
        return config.memory
    rows = 0
    with contextlib.suppress(UnisidError):  # what is wrong with the files is said by who reads them
        rows = raw_sizes(config).get("interactions", 0)
    machine = memory()
    if not _is_large(rows, machine):
        return 0.0
    large = (
        f"about {rows:,} interactions would take up to {rows * BYTES / GIB:.0f} of {machine / GIB:.0f} GiB of memory"
    )
    if not (gib := _by_size(rows)):
        LOG.warning(f"{large} while they are sorted; unisid[large] sorts them on disk (catalog.memory)")
        return 0.0
    LOG.info(f"{large}: they are sorted on disk, in {gib:.1f} GiB (catalog.memory 0: in memory)")
    return gib


def _is_large(rows: int, machine: int) -> bool:
    return rows * BYTES > MOST * machine


def _by_size(rows: int) -> float:
    """GiB to sort in where no setting says so: 0 where the machine has room for all, or no DuckDB."""
    machine = memory()
    on_disk = _is_large(rows, machine) and importlib.util.find_spec("duckdb") is not None
    return TAKEN * machine / GIB if on_disk else 0.0
