"""Makes the next version of fused vectors: the base's as they are, and those of new items by the same fusion."""

import numpy as np

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.fused import FAMILY, Fused
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import DataError
from unisid.stages import fused as stage
from unisid.stages.extension import base_of, further_parts, take_over, take_shards
from unisid.stages.fused.neighbours import ROWS
from unisid.stages.fused.reading import Reader


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog", "embeddings", "embeddings.*", "graph")


def sources(config: stage.Config) -> dict[str, Json]:
    """The fused vectors that are extended."""
    return {"base": base_of(config.base).source()}


def make(job: Job[stage.Config]) -> Json:
    """Write the vectors and the fusion; raises DataError where it gives no vector to items without interactions."""
    config = job.config
    catalog, base = Catalog.read(job.inputs["catalog"]), Fused.read(base_of(config.base).open("fused"))
    weights = [name for name in (stage.WEIGHTS, stage.DESCRIPTION) if base.place.exists(name)]
    take_over(base.place, job.out, weights)
    take_shards(base.place, job.out, FAMILY)
    reader = Reader(job.inputs, stage.load(job.out).reads_states)
    stage.write_vectors(job, reader, config, further_parts(base.shards, job.out, catalog.num_items, ROWS))
    made = Fused(job.out, base.record)
    added = made.vectors(np.arange(len(base.shards), catalog.num_items))
    if len(added) and not added.any():
        raise DataError(
            f"fused: the fusion '{config.fusion.kind}' of {base.record.address} gives items without "
            "interactions the zero vector, so they are all the same; extend an index whose fusion "
            "reads text (fused.fusion uqf, concat, or single with the text)"
        )
    return base.record.counts | {"items": catalog.num_items, "text_only": int(made.text_only().sum())}
