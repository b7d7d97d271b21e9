"""Planted structure: codes of text and behaviour together beat codes of either alone, paired by test sample.

The next item is of the next topic (words show it) and of the same subcircle (only behaviour shows it); so a
recommender whose semantic ids carry both should rank it far higher. It reads codes alone: no item's vector, no memory.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.end_to_end.recipes import ONE_CORE, from_one, planted
from unisid import pipeline
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Store
from unisid.backbones import hierarchical
from unisid.runtime.local import LocalCompute
from unisid.stages import model
from unisid.training.loop import Training

MARGIN = 0.2
"""By how much HR@10 must be higher, at the lower end of a paired 95% interval."""
ON_CODES = model.Config(
    backbone=hierarchical.Config(content=(), dense=False, repeat=False, memory=None, dropout=0.2),
    batch_size=64,
    valid_samples=300,
    training=Training(epochs=4, patience=4, learning_rate=3e-3, warmup_steps=30),
    pool=ONE_CORE,
)


@pytest.mark.slow
def test_fused_codes_beat_codes_of_one_modality(place):
    store, recipe = Store(place), replace(planted(), model=ON_CODES)
    recipe = replace(recipe, metrics=replace(recipe.metrics, baselines=(), beam=20, cutoffs=(10,), resamples=100))

    def hit(one):
        places = pipeline.run(one, store, LocalCompute(), pipeline.NullTracker())
        ranks = Metrics.read(places["metrics"]).ranks(one.metrics.method)["excluded"].to_numpy(zero_copy_only=False)
        return (ranks <= 10).astype(float)  # not ranked: NaN, which is no hit

    fused = hit(recipe)
    for modality in ("text", "graph"):
        difference = fused - hit(from_one(recipe, modality))
        print(f"HR@10: fused {fused.mean():.4f}, {modality} {fused.mean() - difference.mean():.4f}")  # shown by -s
        low = difference.mean() - 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
        assert low > MARGIN, f"uqf {fused.mean():.3f}, {modality} {fused.mean() - difference.mean():.3f}"
