"""FORGE's hit rate in one pass over the vectors, against the figure of all of them at once."""

import numpy as np
import pytest

from tests.exchange import packages
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.fused import Fused
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Store
from unisid.compute import Job
from unisid.evaluation.next_items import by_cosine, held_out_steps, share_found
from unisid.runtime.local import LocalCompute
from unisid.stages import codes as stage
from unisid.stages.codes import next_items
from unisid.stages.codes.next_items import embedding_hit_rate
from unisid.tokenizers import rqkmeans

COUNT = 120


def told(place, vectors) -> tuple[Catalog, float | None]:
    """A catalog of as many items, and the figure by a pass in parts."""
    catalog = Catalog.read(packages.write_catalog(Store(place), len(vectors)))
    out = place / "fused"
    write_array(out, "vectors", {"vector": vectors})
    job = Job(config=stage.Config(), inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda metrics: None)
    return catalog, embedding_hit_rate(job, catalog, Fused(out, catalog.record).shards)


@pytest.mark.parametrize("kind", ["drawn", "alike", "zero"])
def test_it_is_the_share_that_all_vectors_at_once_give(place, monkeypatch, kind):
    parts = [{"start": start, "stop": min(start + 50, COUNT)} for start in range(0, COUNT, 50)]
    monkeypatch.setattr(next_items, "row_parts", lambda count: parts)
    monkeypatch.setattr(next_items, "AT_ONCE", 4)
    random = np.random.default_rng(0)
    vectors = {
        "drawn": random.normal(size=(COUNT, 8)),
        "alike": np.repeat(random.normal(size=(2, 8)), COUNT // 2, axis=0),  # ties share the places
        "zero": np.zeros((COUNT, 8)),
    }[kind].astype(np.float32)
    catalog, found = told(place, vectors)
    steps = held_out_steps(catalog, np.arange(COUNT))
    assert len(steps) == packages.USERS
    assert found == pytest.approx(share_found(steps, by_cosine(vectors)))
    if kind == "zero":
        assert found == pytest.approx(50 / (COUNT - 1))


def test_next_items_that_are_near_are_found_and_far_ones_are_not(place):
    """Items lie on a circle in the order of their numbers, of which users take one after the other; then opposite."""
    angle = 2 * np.pi * np.arange(COUNT) / COUNT
    assert told(place / "a", np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32))[1] == 1
    far = angle + np.pi * (np.arange(COUNT) % 2)
    assert told(place / "b", np.column_stack([np.cos(far), np.sin(far)]).astype(np.float32))[1] == 0


def test_an_index_has_both_figures_of_forge(place):
    store = Store(place)
    codes = packages.stored(store, rqkmeans.Config(num_levels=3, codebook_size=6, restarts=1))
    quality = codes.record.part("quality")
    steps = held_out_steps(Catalog.read(store.place(packages.at("catalog"))), np.arange(48))
    vectors = Fused.read(store.place(packages.at("fused"))).vectors()
    assert quality["embedding_hit_rate"] == pytest.approx(share_found(steps, by_cosine(vectors)))
    assert 0 <= quality["gini"] < 1


def test_nothing_is_said_where_no_user_has_a_held_out_step(place, monkeypatch):
    monkeypatch.setattr(next_items, "held_out_steps", lambda *given: np.zeros((0, 2), np.int64))
    assert told(place, np.ones((COUNT, 2), np.float32))[1] is None
