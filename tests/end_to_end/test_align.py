"""A recipe that aligns its recommender, through everything that comes after it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.end_to_end.recipes import tiny
from unisid import pipeline
from unisid.alignment import grpo
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.compute import Pool
from unisid.reproduce import reproduce
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import align
from unisid.training.loop import Training

HERE = Pool(workers=0)


@pytest.mark.slow
def test_all_that_comes_after_is_as_ever(tmp_path):
    """Metrics of it, beside the same without; served; made again elsewhere, byte for byte."""
    store, base = Store(Place.of(tmp_path / "store")), tiny("aligned")
    plain = replace(
        base,
        model=replace(base.model, pool=HERE, valid_samples=50),
        metrics=replace(base.metrics, baselines=(), resamples=50),
    )
    objective = grpo.Config(prefix=0.1)
    training = Training(epochs=1, learning_rate=1e-3, gradient_clip=0.3)
    config = align.Config(
        objective=objective,
        answers=8,
        batch_size=32,
        prompts_per_epoch=64,
        keeps_start=False,
        training=training,
        pool=HERE,
    )
    whole = replace(plain, align=config)
    places = pipeline.run(whole, store, LocalCompute(), pipeline.NullTracker())
    first, model = read_record(places["model.first"]), read_record(places["model"])
    assert (first.address, model.address) == ("model/aligned.first/1", "model/aligned/1")
    assert read_record(places["metrics"]).inputs["model"]["fingerprint"] == model.fingerprint

    without = pipeline.run(replace(plain, name="plain"), store, LocalCompute(), pipeline.NullTracker())
    assert without["model"] == places["model.first"]  # shared, not made again
    ranked = [
        Recommender.load(at["model"], at["codes"], at["catalog"]).rank([np.array([3, 4, 5])], 10)[1]
        for at in (places, without)
    ]
    assert not np.array_equal(*ranked)

    again = Store(Place.of(tmp_path / "again"))
    found = reproduce(Address("model", "aligned", "1"), store, again, LocalCompute())
    assert [each for each in found if each.differing] == []
    assert [str(each.address) for each in found][-2:] == ["model/aligned.first/1", "model/aligned/1"]
