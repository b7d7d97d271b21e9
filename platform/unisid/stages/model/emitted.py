"""Makes the model of a recipe that trains tokenizer and recommender together: the half that recommends.

As it is, or trained further by itself on the ids that no longer move (`model.afterwards`; stage 3 of UniGRec, the
fine-tuning of ETEGRec).
"""

from dataclasses import replace

from unisid.artifacts.codes import Codes
from unisid.artifacts.joint import Joint
from unisid.artifacts.model import BACKBONE, WEIGHTS
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import ArtifactError
from unisid.stages import model as stage
from unisid.stages.extension import take_over

KEPT = ("parameters", "valid_ndcg_10", "best_epoch", "epochs", "samples_per_second")
"""What the record of a model says in numbers."""


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return (*stage.inputs(config), "joint")


def sources(config: stage.Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[stage.Config]) -> Json:
    """Take the weights over, or go on from them."""
    joint, codes = Joint.read(job.inputs["joint"]), Codes.read(job.inputs["codes"])
    if codes.sizes != joint.sizes or (codes.codes != joint.codes).any():
        raise ArtifactError(
            f"{codes.place}: has other codes than {joint.place}, which was trained on its own; both "
            "must come from one recipe"
        )
    if job.config.afterwards is not None:
        return stage.make(replace(job, config=replace(job.config, training=job.config.afterwards)))
    take_over(joint.place, job.out, (WEIGHTS, BACKBONE))
    return {name: joint.record.counts[name] for name in KEPT if name in joint.record.counts}
