"""The recipe that is measured: planted data, the hashing encoder, and settings whose work is proportional to items.

Sizes that do not grow with the catalogue are the same at every size (widths, codes a level, steps an epoch of the
graph), so that a slope above 1 is the stage's own.
"""

from unisid.backbones import tiger
from unisid.compute import Pool
from unisid.datasets import synthetic
from unisid.encoders import hashing
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics, model, sequences
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

NOUNS = ("catalog", "embeddings", "graph", "fused", "codes", "sequences", "model", "metrics")
ITEMS_PER_USER, SHORTEST, LONGEST = 20, 20, 100
"""Three interactions an item on average."""
TOKENS, STATES = 16, 64
"""Tokens of a text at most, and the width of their states."""
WIDTH = 64
"""Of the fused vectors."""
SAMPLES_PER_ITEM = 8
"""Items over training samples of the recommender."""
HERE = Pool(workers=0)


def recipe(items: int) -> Recipe:
    """The recipe at a number of items; one pass of everything that learns."""
    once = Training(epochs=1, patience=1)
    return Recipe(
        name="scale",
        catalog=catalog.Config(
            dataset=synthetic.Config(
                items=items, users=max(100, items // ITEMS_PER_USER), shortest=SHORTEST, longest=LONGEST
            ),
            protocol="leave-one-out",
            k_core=0,
            min_items=0,
            pool=HERE,
        ),
        embeddings=embeddings.Config(encoder=hashing.Config(width=STATES), max_tokens=TOKENS, tokenize=HERE, pool=HERE),
        graph=graph.Config(
            graph=lightgcn.Config(num_layers=2, width=32),
            batch_edges=max(1024, items // 4),
            epochs=1,
            validate_every=1,
            validation_users=200,
            pool=HERE,
        ),
        fused=fused.Config(
            fusion=uqf.Config(num_queries=4, width=WIDTH, output_width=WIDTH, num_layers=1, num_heads=4),
            num_neighbours=10,
            exact_limit=50_000,
            training=once,
            pool=HERE,
            writers=HERE,
        ),
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=3, codebook_size=256, widths=(128, 64, 32)),
            training=once,
            pool=HERE,
        ),
        sequences=sequences.Config(pool=HERE),
        model=model.Config(
            backbone=tiger.Config(
                width=32, num_heads=2, head_width=16, feedforward_width=64, num_encoder_layers=1, num_decoder_layers=1
            ),
            samples_per_epoch=max(1024, items // SAMPLES_PER_ITEM),
            valid_samples=256,
            training=once,
            pool=HERE,
        ),
        metrics=metrics.Config(beam=10, cutoffs=(1, 5, 10), baselines=("popularity",), resamples=200, pool=HERE),
    )
