"""Comprehension of titles: a model that learned every title reaches 1, one that did not does not."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import language_model
from tests.stages import ring
from unisid.artifacts.store import Place
from unisid.backbones import lcrec, tiger
from unisid.compute import Pool
from unisid.errors import ConfigError
from unisid.evaluation.comprehension import TitleAsker, comprehension
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import instructions, model, sequences
from unisid.training.loop import Training

N = 6


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(10, N), N),
        "codes": ring.write_index(place / "codes", N),
    }
    asked = instructions.Config(tasks=("title_to_sid", "sid_to_title"), valid_rows=2)
    for noun, stage, config in (("sequences", sequences, sequences.Config()), ("instructions", instructions, asked)):
        counts = stage.make(ring.job(config, found, place / noun, LocalCompute()))
        ring.record(place / noun, noun, {}, counts)
        found[noun] = place / noun
    folder = language_model(tmp_path_factory.mktemp("language"))
    config = model.Config(
        backbone=lcrec.Config(model=str(folder), max_tokens=200),
        training=Training(epochs=1, learning_rate=1e-2),
        batch_size=12,
        samples_per_epoch=600,
        valid_samples=2,
        beam=10,
    )
    counts = model.make(ring.job(config, found, place / "model", LocalCompute()))
    ring.record(place / "model", "model", {}, counts, ring.entry(found["codes"], "codes"))
    return found | {"model": place / "model"}


def test_what_was_learned_is_known_both_ways(places):
    job = ring.job(None, places, places["model"], LocalCompute())
    found = comprehension(job, places, Pool(), N, 0)
    served = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
    titles = [f"item {n}" for n in range(N)]
    items, _ = served.find(titles, 1, 5)
    assert found == {
        "items": N,
        "title_to_sid": float(np.mean(items[:, 0] == np.arange(N))),
        "sid_to_title": float(np.mean([a == b for a, b in zip(served.title_of(range(N), 5), titles, strict=True)])),
    }
    assert found["title_to_sid"] > 0.5, "fifty times it was told"
    assert comprehension(job, places, Pool(), 2, 0)["items"] == 2


def test_items_of_one_title_are_each_as_right(places, monkeypatch):
    asker = TitleAsker(places, Pool(), np.arange(N))
    monkeypatch.setattr(asker, "titles", ["same"] * N)
    monkeypatch.setattr(type(asker.recommender), "title_of", lambda *_: ["other"] * N)
    [row] = asker(ring_part(0, N)).to_pylist()
    assert row == {"items": N, "title_to_sid": N, "sid_to_title": 0}


def ring_part(start, stop):
    import pyarrow as pa

    return pa.table({"start": [start], "stop": [stop]})


def test_a_recommender_without_words_is_refused(places, tmp_path):
    out = Place.of(tmp_path / "tiger")
    small = model.Config(
        backbone=tiger.Config(width=16, num_heads=1), training=Training(epochs=1), batch_size=4, beam=10
    )
    without = {noun: at for noun, at in places.items() if noun != "instructions"}
    counts = model.make(ring.job(dataclasses.replace(small, valid_samples=2), without, out, LocalCompute()))
    ring.record(out, "model", {}, counts, ring.entry(places["codes"], "codes"))
    with pytest.raises(ConfigError, match="'tiger' has semantic ids and no words"):
        comprehension(ring.job(None, places, out, LocalCompute()), places | {"model": out}, Pool(), 2, 0)
