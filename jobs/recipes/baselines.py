"""Trained baselines on the other recipes' catalogs: `unisid run demo_sasrec --until baseline` trains and judges one.

Without `--until` the base recipe's own artifacts are shared or made too, and the baseline stands in its table.
"""

from dataclasses import replace

from jobs.recipes import amazon, demo
from unisid.baselines import BaselineConfig, sasrec
from unisid.pipeline import Recipe
from unisid.stages import baseline
from unisid.training.loop import Training


def demo_sasrec() -> Recipe:
    """SASRec with cross-entropy on MovieLens-100K."""
    return _beside(demo.demo(), sasrec.Config())


def beauty_sasrec() -> Recipe:
    """SASRec with cross-entropy on Amazon-2014 Beauty: the row that every table needs."""
    return _beside(amazon.beauty(), sasrec.Config())


def _beside(base: Recipe, settings: BaselineConfig, training: Training | None = None) -> Recipe:
    """The base with a baseline, under a name of its own."""
    rival = baseline.Config(baseline=settings, pool=base.model.pool)
    rival = rival if training is None else replace(rival, training=training)
    return replace(base, name=f"{base.name}-{settings.kind}", baseline=rival)
