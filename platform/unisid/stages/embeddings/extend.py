"""Makes the next version of embeddings: the base's shards as they are, then shards of new items by the same encoder."""

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import FAMILY, Embeddings
from unisid.artifacts.shards import shard_indices
from unisid.compute import Job
from unisid.config import Json
from unisid.stages import embeddings as stage
from unisid.stages.extension import base_of, further_parts, take_shards


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog",)


def sources(config: stage.Config) -> dict[str, Json]:
    """The encoder's weights, and the embeddings that are extended."""
    return stage.sources(config) | {"base": base_of(config.base).source()}


def make(job: Job[stage.Config]) -> Json:
    """Write the shards; returns what all of them hold, in numbers."""
    catalog, base = Catalog.read(job.inputs["catalog"]), Embeddings.read(base_of(job.config.base).open("embeddings"))
    config = stage.as_made(job.config, base.record.counts)
    take_shards(base.place, job.out, FAMILY)
    missing = further_parts(base.shards, job.out, catalog.num_items, config.shard_rows)
    if missing:
        stage.write_parts(job, catalog.place, missing, config)
    return stage.summary(job.out, len(shard_indices(job.out, FAMILY)), catalog.num_items, config.keep_states)
