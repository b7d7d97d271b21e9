"""Planted structure: codes of text and behaviour together beat codes of either alone, paired by test sample.

The next item is of the next topic (words show it) and of the same subcircle (only behaviour shows it); so a
recommender whose semantic ids carry both should rank it far higher.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.end_to_end.recipes import from_one, planted
from unisid import pipeline
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Store
from unisid.runtime.local import LocalCompute

MARGIN = 0.03
"""By how much HR@10 must be higher, at the lower end of a paired 95% interval."""


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three recommenders are trained: 400 s of a core
def test_fused_codes_beat_codes_of_one_modality(place):
    store, recipe = Store(place), planted()
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
