"""Small whole recipes over planted data: offline, seconds a stage."""

from dataclasses import replace

from unisid.backbones import tiger
from unisid.compute import Pool
from unisid.datasets import synthetic
from unisid.encoders import hashing
from unisid.fusion import single, uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics, model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

ONE_CORE = Pool(workers=1, cpus=1)


def planted(name: str = "planted", items: int = 2000, users: int = 6000, seed: int = 0) -> Recipe:
    """Next items are told by text and behaviour together, by neither alone (see datasets/synthetic.py)."""
    return Recipe(
        name=name,
        catalog=catalog.Config(
            dataset=synthetic.Config(items=items, users=users, shortest=4, longest=8, seed=seed),
            protocol="leave-one-out",
            history_length=10,
            k_core=0,
        ),
        embeddings=embeddings.Config(encoder=hashing.Config(), max_tokens=16),
        graph=graph.Config(
            graph=lightgcn.Config(num_layers=3, width=32), learning_rate=0.05, epochs=20, patience=2, pool=ONE_CORE
        ),
        fused=fused.Config(
            fusion=uqf.Config(num_queries=4, width=64, output_width=64, num_layers=1, num_heads=4),
            num_neighbours=20,
            training=Training(epochs=15, patience=5, learning_rate=1e-3),
            pool=ONE_CORE,
        ),
        codes=codes.Config(tokenizer=rqkmeans.Config(num_levels=3, codebook_size=32), pool=ONE_CORE),
        model=model.Config(
            backbone=tiger.Config(
                width=64, num_heads=4, head_width=16, feedforward_width=128, num_encoder_layers=1, num_decoder_layers=1
            ),
            samples_per_epoch=8_000,
            valid_samples=300,
            training=Training(epochs=8, patience=8, learning_rate=3e-3, warmup_steps=30),
            pool=ONE_CORE,
        ),
        metrics=metrics.Config(method="uqf-tiger"),
    )


def tiny(name: str = "tiny") -> Recipe:
    """The smallest run that goes through every stage."""
    base = planted(name, items=120, users=150)
    return replace(
        base,
        graph=replace(base.graph, epochs=3),
        fused=replace(base.fused, training=Training(epochs=2, learning_rate=1e-3), batch_size=32),
        codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=3, codebook_size=8)),
        model=replace(base.model, samples_per_epoch=500, training=Training(epochs=2, learning_rate=3e-3)),
        metrics=replace(base.metrics, resamples=200),
    )


def from_one(recipe: Recipe, modality: str) -> Recipe:
    """The same recipe with codes from one modality alone."""
    return replace(
        recipe,
        name=f"{recipe.name}-{modality}",
        fused=replace(recipe.fused, fusion=single.Config(modality=modality)),
        metrics=replace(recipe.metrics, method=f"{modality}-tiger"),
    )
