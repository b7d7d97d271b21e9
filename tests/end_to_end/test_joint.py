"""A recipe that trains tokenizer and recommender together, through everything that comes after it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.end_to_end.recipes import tiny
from unisid import pipeline
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.baselines import sasrec
from unisid.compute import Pool
from unisid.joint import unigrec
from unisid.reproduce import reproduce
from unisid.runtime.local import LocalCompute
from unisid.stages import baseline, joint
from unisid.tokenizers import soft
from unisid.training.loop import Training
from unisid.versions.extend import extended

HERE = Pool(workers=0)
TEACHER = baseline.Config(
    baseline=sasrec.Config(width=8, feedforward_width=8), training=Training(epochs=1), resamples=50, pool=HERE
)


def recipe():
    base = tiny("together")
    return replace(
        base,
        catalog=replace(base.catalog, cold_share=0.1, cold_seed=1),
        codes=replace(
            base.codes,
            tokenizer=soft.Config(num_levels=2, codebook_size=8, widths=(16, 8), anneal_steps=10),
            unique="append",
            training=Training(epochs=10, patience=10, validate_every=5),
            pool=HERE,
        ),
        joint=joint.Config(
            method=unigrec.Config(tokenizer_rate=3e-3, warm_epochs=0),
            teacher=baseline.Config(
                baseline=sasrec.Config(width=8, feedforward_width=8),
                training=Training(epochs=1),
                resamples=50,
                pool=HERE,
            ),
        ),
        model=replace(base.model, pool=HERE, valid_samples=50, afterwards=Training(epochs=1, learning_rate=1e-3)),
        metrics=replace(base.metrics, baselines=(), resamples=50),
    )


@pytest.mark.slow
def test_all_that_comes_after_is_as_ever(tmp_path):
    """Metrics; an extension by items that were held out; the pair made again elsewhere, byte for byte."""
    store, made = Store(Place.of(tmp_path / "store")), recipe()
    places = pipeline.run(made, store, LocalCompute(), pipeline.NullTracker())
    assert read_record(places["metrics"]).counts["samples"] > 0
    assert read_record(places["model"]).inputs["codes"]["fingerprint"] == read_record(places["codes"]).fingerprint

    address = Address("codes", "together", "1")
    whole = extended(replace(made, catalog=replace(made.catalog, cold_share=0.0)), store, address, "2")
    further = pipeline.run(whole, store, LocalCompute(), pipeline.NullTracker(), "codes")
    old, new = Codes.read(places["codes"]), Codes.read(further["codes"])
    assert len(new.codes) > len(old.codes)
    assert np.array_equal(new.codes[: len(old.codes)], old.codes)

    again = Store(Place.of(tmp_path / "again"))
    found = reproduce(Address("model", "together", "1"), store, again, LocalCompute())
    assert [each for each in found if each.differing] == []
    assert {each.address.noun for each in found} >= {"joint", "codes", "model", "baseline"}
