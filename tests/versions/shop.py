"""A small shop on disk, and a recipe that takes it through every stage in seconds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.lines import logged
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Address, Place, Store
from unisid.backbones import tiger
from unisid.compute import Pool
from unisid.datasets import tables
from unisid.encoders import hashing
from unisid.fusion import concat
from unisid.graphs import lightgcn
from unisid.pipeline import NullTracker, Recipe, run
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics, model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

ITEMS, NEW = 60, 15
INSIDE = Pool(workers=0)
WORDS = ("red", "blue", "old", "small"), ("pen", "lamp", "desk", "chair", "cup"), ("steel", "oak", "glass")


def title(number: int) -> str:
    return " ".join(words[number // size % len(words)] for words, size in zip(WORDS, (1, 4, 20), strict=True))


def items(folder: Path, count: int, name: str = "items", texts: dict[int, str] | None = None) -> str:
    """A table of items 0 to `count`; some may have another title."""
    titles = [(texts or {}).get(number, title(number)) for number in range(count)]
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"item_id": [f"i{number}" for number in range(count)], "title": titles}), path)
    return str(path)


def interactions(folder: Path, count: int = ITEMS, users: int = 80, name: str = "rows") -> str:
    """Users walk along the ring of so many items."""
    random = np.random.default_rng(0)
    rows = [
        {"user_id": f"u{user}", "item_id": f"i{(start + step) % count}", "timestamp": 100 * user + step}
        for user, start in enumerate(random.integers(0, count, users))
        for step in range(6)
    ]
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def recipe(item_table: str, row_table: str, unique: str = "assign", **tokenizer: object) -> Recipe:
    """Text and graph side by side, few codes, a tiny TIGER."""
    sizes = {"num_levels": 3, "codebook_size": 5} | tokenizer
    return Recipe(
        name="shop",
        catalog=catalog.Config(
            dataset=tables.Config(items=item_table, interactions=row_table),
            protocol="leave-one-out",
            k_core=0,
            pool=INSIDE,
        ),
        embeddings=embeddings.Config(
            encoder=hashing.Config(),
            max_tokens=8,
            shard_rows=32,
            tokenize=INSIDE,
            pool=INSIDE,
        ),
        graph=graph.Config(graph=lightgcn.Config(num_layers=2, width=8), epochs=2, pool=INSIDE),
        fused=fused.Config(fusion=concat.Config(), pool=INSIDE, writers=INSIDE),
        codes=codes.Config(
            tokenizer=rqkmeans.Config(**sizes),
            unique=unique,
            pool=INSIDE,
            training=Training(epochs=2, validate_every=1),
        ),
        model=model.Config(
            backbone=tiger.Config(
                width=16, num_heads=2, head_width=8, feedforward_width=16, num_encoder_layers=1, num_decoder_layers=1
            ),
            samples_per_epoch=64,
            batch_size=32,
            valid_samples=16,
            training=Training(epochs=1),
            pool=INSIDE,
        ),
        metrics=metrics.Config(baselines=("popularity",), cutoffs=(1, 5, 10, 20), beam=20, resamples=50, pool=INSIDE),
    )


def make(wanted: Recipe, store: Store, until: str = "codes", said: list[str] | None = None):
    """Run it here; returns where everything lies."""
    with logged(said):
        return run(wanted, store, LocalCompute(), NullTracker(), until)


def at(noun: str, version: str = "1") -> Address:
    return Address(noun, "shop", version)


def catalog_ids(place: Place):
    """The items' ids, by number."""
    return Catalog.read(place).item_ids
