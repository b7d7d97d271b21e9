"""Makes the next version of embeddings: the base's shards as they are, then shards of new items by the same encoder."""

from dataclasses import dataclass

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import FAMILY, Embeddings
from unisid.artifacts.shards import shard_indices
from unisid.compute import Job
from unisid.config import Json
from unisid.stages import embeddings as stage
from unisid.stages.extension import Base, further_parts, take_shards


@dataclass(frozen=True, kw_only=True)
class Config(stage.Config):
    """The base's own settings, and the base."""

    base: Base
    """The embeddings whose rows stay."""


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog",)


def sources(config: Config) -> dict[str, Json]:
    """The encoder's weights, and the embeddings that are extended."""
    return stage.sources(config) | {"base": config.base.source()}


def make(job: Job) -> Json:
    """Write the shards; returns what all of them hold, in numbers."""
    config: Config = job.config
    catalog, base = Catalog.read(job.inputs["catalog"]), Embeddings.read(config.base.open("embeddings"))
    take_shards(base.place, job.out, FAMILY)
    missing = further_parts(base.shards, job.out, catalog.num_items, config.shard_rows)
    if missing:
        stage.write_parts(job, catalog.place, missing, config)
    return stage.summary(job.out, len(shard_indices(job.out, FAMILY)), catalog.num_items, config.keep_states)
