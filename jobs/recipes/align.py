"""Recommenders that learn from their own answers after supervised training."""

from dataclasses import replace

from jobs.recipes import demo
from unisid.alignment import AlignmentConfig, grpo
from unisid.planning import Recipe
from unisid.stages import align
from unisid.training.loop import Training


def demo_align() -> Recipe:
    """The demo's TIGER, taught further by the beams of its own search (GRPO): minutes more on two cores."""
    return aligned(demo.demo_tiger(), grpo.Config(prefix=0.1))


def demo_align_hierarchical() -> Recipe:
    """The demo's recommender over items, its trie taught further by the items it ranks first."""
    return aligned(demo.demo(), grpo.Config(prefix=0.1))


def aligned(
    base: Recipe, objective: AlignmentConfig, rate: float = 1e-4, epochs: int = 4, prompts: int = 5120
) -> Recipe:
    """The base, its recommender then trained by an objective for so many times so many prompts."""
    return replace(
        base,
        name=f"{base.name}-align",
        align=align.Config(
            objective=objective,
            prompts_per_epoch=prompts,
            training=Training(
                epochs=epochs,
                patience=epochs,
                learning_rate=rate,
                warmup_steps=20,
                gradient_clip=0.3,
                schedule="constant",
            ),
            pool=base.model.pool,
        ),
        metrics=replace(base.metrics, method=f"{base.metrics.method}-{objective.kind}"),
    )
