"""Makes the codes of a recipe that trains tokenizer and recommender together: those that the joint training ended with.

The files are a tokenizer's and an index's as ever, so that it is extended, served and registered as ever. N items.
"""

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.fused import Fused
from unisid.artifacts.joint import Joint
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import DataError
from unisid.evaluation import index as quality
from unisid.progress import ReportingMapper
from unisid.stages import codes as stage
from unisid.stages.codes.unique import Encoder, moved_distances
from unisid.stages.extension import take_over
from unisid.tokenizers import DESCRIPTION, WEIGHTS


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog", "fused", "joint")


def sources(config: stage.Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[stage.Config]) -> Json:
    """Take the tokenizer and the ids over, and judge them; the counts are those of `codes`, and how many changed."""
    joint = Joint.read(job.inputs["joint"])
    catalog, vectors = Catalog.read(job.inputs["catalog"]), Fused.read(job.inputs["fused"]).shards
    if not len(joint.codes) == len(vectors) == catalog.num_items:
        raise DataError(
            f"{joint.place}: has codes of {len(joint.codes)} items, the catalog {catalog.num_items} items and "
            f"{job.inputs['fused']} {len(vectors)} vectors; all must come from one catalog"
        )
    take_over(joint.place, job.out, (WEIGHTS, DESCRIPTION))
    encoder = Encoder(vectors, job.out, job.config.pool)
    nearest, error = stage.encode(job, encoder)
    report = quality.describe(nearest, job.config.tokenizer.sizes) | {"reconstruction_error": error}
    if joint.codes.shape == nearest.shape:
        mapper = ReportingMapper(job, "parts", of="resolving")
        report |= moved_distances(mapper, job.config.pool, job.work, encoder, nearest, joint.codes)
    report |= {name: joint.record.figure("moved", name) for name in ("changed_share", "changed_first_level")}
    return stage.judged(job, catalog, vectors, joint.codes, joint.sizes, report)
