"""Does it pay that a recommender learns from its own answers, beside supervised training that simply goes on?"""

from dataclasses import replace

from jobs.experiments.joint import named
from jobs.recipes.align import aligned
from unisid.alignment import AlignmentConfig, beam_contrast, grpo, sdpo, sft
from unisid.experiments.definition import Experiment, Method
from unisid.planning import Recipe
from unisid.stages import align as stage

CONTROL = "continued"
DENSE = {3: (0.2, 0.5, 1.0)}
"""What agreeing codes are worth, by the number of levels; evenly where a number is not here."""


def align(base: Recipe) -> Experiment:
    """Objectives on one frozen recommender and index; and the control: the same prompts, steps and rate, supervised.

    Seeds are those of aligning alone. Weights of the last step are kept, better or not.
    """
    plain = replace(base, align=None)
    depths = DENSE.get(base.codes.tokenizer.num_levels, ()) if base.codes.unique == "assign" else ()
    rule = grpo.Config(rank=0.0, beta=0.0, monitor=True)
    objectives: dict[str, AlignmentConfig] = {
        CONTROL: sft.Config(),
        "grpo-rule": rule,
        "grpo-rank": replace(rule, rank=1.0),
        "grpo-prefix": replace(rule, prefix=0.1, prefix_by_depth=depths),
        "sdpo": sdpo.Config(),
        "beam-contrast": beam_contrast.Config(),
    }
    arms = {name: _arm(base, objective) for name, objective in objectives.items()}
    sampled = arms["grpo-rule"]
    assert sampled.align is not None
    arms["grpo-sampled"] = replace(sampled, align=replace(sampled.align, rollout="sample"))
    return Experiment(
        name="align",
        question="Does learning from its own answers beat supervised training that goes on as long?",
        methods=(
            Method("start", named(plain, "start")),
            *(Method(name, named(recipe, name)) for name, recipe in arms.items()),
        ),
        ours=CONTROL,
        reseeded=("align.",),
        cutoffs=(1, 5, 10, 20, 50),
    )


def _arm(base: Recipe, objective: AlignmentConfig) -> Recipe:
    """The base with this objective, under the base's own settings of aligning; without a choice by validation."""
    found = base.align or aligned(base, objective).align
    assert isinstance(found, stage.Config)
    training = replace(found.training, validate_every=found.training.epochs)
    return replace(base, align=replace(found, objective=objective, keeps_start=False, training=training))
