"""A shop's own two tables, at sizes that suit a laptop; every item that has a text gets a semantic ID."""

from dataclasses import replace

from jobs.recipes import demo
from jobs.recipes.shrunk import shrunk
from unisid.datasets import tables
from unisid.encoders import transformer
from unisid.planning import Recipe
from unisid.stages import catalog


def shop() -> Recipe:
    """Your own two tables: give them with --catalog.dataset.items and --catalog.dataset.interactions."""
    return replace(shrunk(shop_uqf()), name="shop")


def shop_uqf() -> Recipe:
    """The same with semantic IDs by UQF and RQ-VAE, as the UQF thesis has them."""
    base = demo.demo()
    encoder = base.embeddings.encoder
    assert isinstance(encoder, transformer.Config)
    return replace(
        base,
        name="shop-uqf",
        note="",
        catalog=catalog.Config(
            dataset=tables.Config(),
            protocol="leave-one-out",
            history_length=20,
            k_core=0,
            title_rules=False,
            keep_cold_items=True,
        ),
        embeddings=replace(base.embeddings, encoder=replace(encoder, dtype="auto")),
    )
