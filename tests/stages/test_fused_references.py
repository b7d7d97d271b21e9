"""A fusion that is fitted to references: which items these are, that it is fitted once, and bad inputs."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.stages.test_fused import GRAPH, LONELY, TEXT, N, make, make_inputs
from unisid.artifacts.fused import Fused
from unisid.artifacts.shards import shard_name
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json
from unisid.compute import Pool
from unisid.errors import ConfigError, DataError
from unisid.fusion import shrinkage
from unisid.ops.seeded import sampled
from unisid.stages import fused
from unisid.stages.fused.reading import Reader
from unisid.stages.fused.references import fit

CONFIG = fused.Config(fusion=shrinkage.Config(num_neighbours=3), write_batch=7)


def test_vectors_are_the_fusions_of_all_items_fitted_to_all(place: Place) -> None:
    counts = make(make_inputs(place), place / "fused", CONFIG)
    assert counts["references"] == N - 1, "the item without interactions has no graph vector to give"
    reader = Reader(make_inputs(place), states=False)
    every = np.arange(N)
    known = reader.read(every).view(every, np.zeros(N, np.int64))
    fusion = CONFIG.fusion.build(reader.widths)
    assert fit(fusion, reader).items() <= counts.items()
    found = Fused.read(place / "fused")
    assert found.width == TEXT + GRAPH
    torch.testing.assert_close(torch.tensor(found.vectors()), fusion(known[0])[known[1]])
    assert np.flatnonzero(found.text_only()).tolist() == [LONELY]
    assert np.linalg.norm(found.vectors()[LONELY, TEXT:]) == pytest.approx(1, abs=1e-5), "told by alike items"


def test_of_a_larger_catalog_a_sample_are_references(place: Place) -> None:
    config = dataclasses.replace(CONFIG, fusion=shrinkage.Config(num_references=20))
    counts = make(make_inputs(place), place / "fused", config)
    drawn = np.flatnonzero(sampled(0, N, N, 20))
    assert counts["references"] == len(set(drawn) - {LONELY}) < N - 1
    kept = fused.load(place / "fused").state_dict()["numbers"]
    assert kept.tolist() == [number for number in drawn if number != LONELY]
    assert np.isfinite(Fused.read(place / "fused").vectors()).all()


def test_a_fusion_that_is_there_is_not_fitted_again(place: Place) -> None:
    whole, other = place / "fused", dataclasses.replace(CONFIG, fusion=shrinkage.Config(num_references=20))
    make(make_inputs(place), whole, CONFIG)
    vectors = Fused.read(whole).vectors().copy()
    whole.remove(shard_name("vectors", 0))
    assert make(make_inputs(place), whole, other)["references"] == N - 1
    assert np.array_equal(Fused.read(whole).vectors(), vectors)
    assert read_json(whole, fused.DESCRIPTION)["fusion"]["num_references"] != 20


def test_workers_make_the_same_vectors(place: Place) -> None:
    here = dataclasses.replace(CONFIG, writers=Pool(workers=0))
    make(make_inputs(place), place / "one", here)
    make(make_inputs(place), place / "many", dataclasses.replace(CONFIG, writers=Pool(workers=2)))
    assert np.array_equal(Fused.read(place / "one").vectors(), Fused.read(place / "many").vectors())


def test_it_learns_from_no_neighbours_and_reads_finite_vectors(place: Place) -> None:
    with pytest.raises(ConfigError, match="fused.learn_from: is 10, and 'shrinkage' does not learn"):
        make(make_inputs(place), place / "fused", dataclasses.replace(CONFIG, learn_from=10))
    spoiled = make_inputs(place / "spoiled", spoil="graph")
    with pytest.raises(DataError, match="vectors of 1 items .'i11'. hold NaN or infinity"):
        make(spoiled, place / "other", CONFIG)
