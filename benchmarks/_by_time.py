"""What simulations over time share: a catalogue in parts, the oldest interactions first, and the demo over tables."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.recipes.amazon import beauty
from jobs.recipes.demo import demo
from jobs.recipes.recommenders import over_items
from unisid.backbones import hierarchical, tiger
from unisid.compute import Pool
from unisid.datasets import recbole, tables
from unisid.fusion import concat
from unisid.pipeline import Recipe
from unisid.stages import model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

HERE = Pool(workers=0)
BEGINS, YEAR = 1_388_534_400, 31_536_000
"""Seconds of the year, 2014, in which interactions without times are laid."""


def recipe(name: str, recommender: model.Config) -> Recipe:
    """The demo over tables, with text and graph side by side and few passes: what is made every time takes seconds."""
    base = demo()
    return replace(
        base,
        name=name,
        catalog=replace(base.catalog, dataset=tables.Config(), protocol="leave-one-out", k_core=0, pool=HERE),
        embeddings=replace(base.embeddings, pool=HERE, tokenize=HERE),
        graph=replace(base.graph, epochs=10, pool=HERE),
        fused=replace(base.fused, fusion=concat.Config(), pool=HERE, writers=HERE),
        codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=3, codebook_size=64), pool=HERE),
        model=recommender,
        metrics=replace(base.metrics, baselines=(), cutoffs=(1, 5, 10, 20), beam=20, pool=HERE),
    )


def small_tiger() -> model.Config:
    """A TIGER of which a week takes minutes."""
    small = tiger.Config(
        width=64, num_heads=4, head_width=16, feedforward_width=128, num_encoder_layers=1, num_decoder_layers=1
    )
    return model.Config(
        backbone=small,
        batch_size=128,
        samples_per_epoch=16_000,
        valid_samples=300,
        training=Training(epochs=15, patience=4, learning_rate=2e-3, weight_decay=0.035, warmup_steps=100),
        pool=HERE,
    )


def small_over_items() -> model.Config:
    """The recommender over items, with less to train than the demo's."""
    return over_items(hierarchical.Config(dropout=0.2), HERE, 64, 2000, 10)


RECOMMENDERS: Mapping[str, Callable[[], model.Config]] = {"tiger": small_tiger, "items": small_over_items}


def movielens() -> tuple[pa.Table, pa.Table]:
    """Films and ratings of MovieLens-100K."""
    dataset = recbole.Config(name="ml-100k", path="data/ml-100k").build()
    items, interactions = (
        pa.concat_tables([dataset.read(part) for part in dataset.parts() if part["table"] == name])
        for name in ("items", "interactions")
    )
    return items, interactions


def beauty_by_place() -> tuple[pa.Table, pa.Table]:
    """Products and reviews of Beauty, whose published files have no times, by places in users' histories."""
    dataset = beauty().catalog.dataset
    assert isinstance(dataset, tables.Config)
    return pq.read_table(dataset.items), timed_by_place(pq.read_table(dataset.interactions))


def timed_by_place(interactions: pa.Table) -> pa.Table:
    """Interactions whose time is the share of their user's history that lies before them, for want of a better one.

    A user of 4 interactions at positions 0 to 3 has them at 1/8, 3/8, 5/8 and 7/8 of a year.
    """
    _, user = np.unique(interactions["user_id"].to_numpy(), return_inverse=True)
    share = (interactions["position"].to_numpy() + 0.5) / np.bincount(user)[user]
    times = pa.array((BEGINS + share * YEAR).astype(np.int64))
    return interactions.select(["user_id", "item_id"]).append_column("timestamp", times)


DATA: Mapping[str, Callable[[], tuple[pa.Table, pa.Table]]] = {"movielens": movielens, "beauty": beauty_by_place}


def raw(data: str) -> tuple[pa.Table, pa.Table]:
    """Items and interactions, the oldest interaction first."""
    items, interactions = DATA[data]()
    return items, interactions.sort_by([("timestamp", "ascending"), ("user_id", "ascending")])


def parts(interactions: pa.Table, before: float, number: int) -> tuple[pa.Table, list[pa.Table]]:
    """The first share of the interactions, and the rest in so many parts of equally many."""
    cuts = np.linspace(before, 1, number + 1) * interactions.num_rows
    later = [interactions.slice(int(a), int(b) - int(a)) for a, b in itertools.pairwise(cuts)]
    return interactions.slice(0, int(cuts[0])), later


def items_of(items: pa.Table, wanted: set[str]) -> pa.Table:
    """The rows of some items."""
    return items.filter(pc.is_in(items["item_id"], value_set=pa.array(sorted(wanted), items["item_id"].type)))
