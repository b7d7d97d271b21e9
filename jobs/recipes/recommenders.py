"""The recommenders, as recipes train them."""

from dataclasses import replace

from unisid.backbones import BackboneConfig, parallel, retrieval, tiger
from unisid.compute import Pool
from unisid.planning import Recipe
from unisid.stages import model
from unisid.tokenizers import opq
from unisid.training.loop import Training


def over_items(
    backbone: BackboneConfig, pool: Pool, batch_size: int = 128, valid_samples: int = 4000, epochs: int = 60
) -> model.Config:
    """Trained until validation stops it, at a constant rate: it has to find out by itself how many passes it takes."""
    return model.Config(
        backbone=backbone,
        batch_size=batch_size,
        valid_samples=valid_samples,
        training=Training(epochs=epochs, patience=4, validate_every=2, learning_rate=1e-3, schedule="constant"),
        pool=pool,
    )


def token_by_token(pool: Pool, batch_size: int = 128) -> model.Config:
    """TIGER, trained until validation stops it."""
    return model.Config(
        backbone=tiger.Config(),
        batch_size=batch_size,
        training=Training(epochs=200, patience=15, learning_rate=1e-3, weight_decay=0.035, warmup_steps=1000),
        pool=pool,
    )


def in_parallel(base: Recipe, num_levels: int = 16, codebook_size: int = 256) -> Recipe:
    """The base with long semantic IDs of product quantization, whose codes are all predicted at once (RPG)."""
    return _over_product_codes(base, parallel.Config(temperature=0.1), num_levels, codebook_size)


def by_retrieval(base: Recipe, num_levels: int = 16, codebook_size: int = 256) -> Recipe:
    """The base with long semantic IDs of product quantization, of which items' vectors are made (VQ-Rec)."""
    return _over_product_codes(base, retrieval.Config(), num_levels, codebook_size)


def _over_product_codes(
    base: Recipe, backbone: parallel.Config | retrieval.Config, num_levels: int, codebook_size: int
) -> Recipe:
    """With the base's own dropout and memory, where it is a recommender over items, and its own training."""
    own = base.model.backbone
    kept = {name: getattr(own, name) for name in ("dropout", "memory") if hasattr(own, "memory")}
    return replace(
        base,
        codes=replace(
            base.codes,
            tokenizer=opq.Config(num_levels=num_levels, codebook_size=codebook_size, rotations=10, restarts=1),
        ),
        instructions=None,
        model=replace(base.model, backbone=replace(backbone, **kept)),
        metrics=replace(base.metrics, method=f"{base.fused.fusion.kind}-{backbone.kind}"),
    )
