"""What simulations over time share: MovieLens-100K in parts, the oldest ratings first, and the demo over tables."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.recipes.demo import demo
from unisid.compute import Pool
from unisid.datasets import recbole, tables
from unisid.fusion import concat
from unisid.pipeline import Recipe
from unisid.stages import model
from unisid.tokenizers import rqkmeans

HERE = Pool(workers=0)


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


def raw() -> tuple[pa.Table, pa.Table]:
    """Films and ratings, the oldest rating first."""
    dataset = recbole.Config(name="ml-100k", path="data/ml-100k").build()
    read = {
        name: pa.concat_tables([dataset.read(part) for part in dataset.parts() if part["table"] == name])
        for name in ("items", "interactions")
    }
    return read["items"], read["interactions"].sort_by("timestamp")


def parts(ratings: pa.Table, before: float, number: int) -> tuple[pa.Table, list[pa.Table]]:
    """The first share of the ratings, and the rest in so many parts of equally many."""
    cuts = np.linspace(before, 1, number + 1) * ratings.num_rows
    later = [ratings.slice(int(a), int(b) - int(a)) for a, b in itertools.pairwise(cuts)]
    return ratings.slice(0, int(cuts[0])), later


def films_of(films: pa.Table, wanted: set[str]) -> pa.Table:
    """The rows of some films."""
    return films.filter(pc.is_in(films["item_id"], value_set=pa.array(sorted(wanted), films["item_id"].type)))
