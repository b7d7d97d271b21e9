"""Codes of new codebooks under the names of an older index, for a recommender that goes on from one trained on it.

Renaming changes no distance: which items share a prefix, and the quality of the index, are what they were. n items in
both indexes, N items, L levels.
"""

from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.log import logger
from unisid.ops.renaming import moved, names_like
from unisid.stages.extension import Base
from unisid.tokenizers import read_tokenizer, write_tokenizer

LOG = logger(__name__)


def shared_items(base: Base, catalog: Catalog) -> tuple[Codes, Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The older index; and the items of both, as it numbers them and as the catalog does."""
    codes = Codes.read(base.open("codes"))
    older = Catalog.read(_catalog_of(codes))
    found = pc.index_in(older.item_ids, value_set=catalog.item_ids)
    both = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    return codes, both, found.drop_null().to_numpy().astype(np.int64)


def _catalog_of(codes: Codes) -> Place:
    """Where the catalog of an index lies, in the store that the index lies in."""
    root = codes.place.parent.parent.parent
    return root / codes.record.inputs["catalog"]["address"]


def rename(job: Job[Any], base: Base, catalog: Catalog, nearest: Int[np.ndarray, "N L"]) -> Int[np.ndarray, "N L"]:
    """Give the codewords of the tokenizer in `job.out` the names of the older index's; returns the codes so.

    Raises:
        ConfigError: the older index has other levels, or the tokenizer's codes have no names of their own.
    """
    older, then, now = shared_items(base, catalog)
    sizes = job.config.tokenizer.sizes
    if older.sizes[: len(sizes)] != sizes:
        raise ConfigError(
            f"codes.aligned_to: {older.record.address} has levels of {list(older.sizes)} codes, these settings "
            f"{list(sizes)}; must be the same, or the recommender has no words for them"
        )
    names = names_like(older.codes[then, : len(sizes)], nearest[now], sizes)
    tokenizer = read_tokenizer(job.out)
    tokenizer.rename([torch.from_numpy(name) for name in names])
    write_tokenizer(job.out, job.config.tokenizer, tokenizer)
    return np.column_stack([name[column] for name, column in zip(names, nearest.T, strict=True)]).astype(np.int32)


def certificate(base: Base, catalog: Catalog, codes: Int[np.ndarray, "N L"], sizes: tuple[int, ...]) -> Json:
    """Figures of what a refresh moves, before anything is trained on it."""
    older, then, now = shared_items(base, catalog)
    levels = min(older.num_levels, codes.shape[1])
    by_level, kept = moved(older.codes[then][:, :levels], codes[now][:, :levels])
    LOG.info(
        f"{len(now):,} items are in {older.record.address} too; prefixes kept: "
        + ", ".join(f"{share:.1%} of length {m}" for m, share in enumerate(kept, 1))
    )
    return {
        "of": older.record.address,
        "shared": len(now),
        "added": len(codes) - len(now),
        "gone": len(older.codes) - len(then),
        "moved": by_level,
        "kept": kept,
        "spoken": older.extension.get("spoken", {}) | {older.record.fingerprint: list(older.sizes)},
        "same_sizes": older.sizes == tuple(sizes),
    }
