"""The recommenders, as recipes train them."""

from unisid.backbones import hierarchical, tiger
from unisid.compute import Pool
from unisid.stages import model
from unisid.training.loop import Training


def over_items(
    backbone: hierarchical.Config, pool: Pool, batch_size: int = 128, valid_samples: int = 4000, epochs: int = 60
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
