"""Shards: random access equals the whole, whatever the cut; damage is named."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unisid.artifacts.shards import Shards, shard_name, to_ragged, write_array, write_shard
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError


@settings(max_examples=25, deadline=None)
@given(
    array=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 5)), elements=st.floats(-9, 9, width=32)),
    cut=st.integers(1, 45),
    data=st.data(),
)
def test_vectors_round_trip_by_row(tmp_path_factory, array, cut, data):
    place = Place.of(tmp_path_factory.mktemp("shards"))
    write_array(place, "v", {"x": array, "n": np.arange(len(array))}, shard_rows=cut)
    shards = pickle.loads(pickle.dumps(Shards(place, "v")))  # travels to workers like this
    rows = np.array(data.draw(st.lists(st.integers(0, len(array) - 1), max_size=20)), np.int64)
    np.testing.assert_array_equal(shards.read("x"), array)
    np.testing.assert_array_equal(shards.read("x", rows), array[rows])
    np.testing.assert_array_equal(shards.read("n", rows), rows)
    assert len(shards) == len(array)


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=20), cut=st.integers(1, 21), data=st.data())
def test_ragged_matrices_round_trip_by_row(tmp_path_factory, lengths, cut, data):
    place = Place.of(tmp_path_factory.mktemp("ragged"))
    generator = np.random.default_rng(0)
    matrices = [generator.normal(size=(n, 3)).astype(np.float16) for n in lengths]
    for index, start in enumerate(range(0, len(matrices), cut)):
        part = matrices[start : start + cut]
        column = to_ragged(np.concatenate(part), np.array([len(m) for m in part]))
        write_shard(place, "r", index, pa.table({"states": column}))
    rows = np.array(data.draw(st.lists(st.integers(0, len(matrices) - 1), min_size=1, max_size=20)), np.int64)
    values, found = Shards(place, "r").read_ragged("states", rows)
    np.testing.assert_array_equal(found, [lengths[r] for r in rows])
    np.testing.assert_array_equal(values, np.concatenate([matrices[r] for r in rows]))


def test_a_truncated_shard_is_named(place):
    write_array(place, "v", {"x": np.ones((8, 4), np.float32)})
    name = shard_name("v", 0)
    place.write(name, place.read(name)[:100])
    with pytest.raises(ArtifactError, match=r"v-00000.arrow: is not a whole shard"):
        Shards(place, "v").read("x")


def test_a_missing_shard_is_named(place):
    write_array(place, "v", {"x": np.ones(8, np.float32)}, shard_rows=2)
    place.remove(shard_name("v", 1))
    with pytest.raises(ArtifactError, match=r"shards of 'v' are \[0, 2, 3\]: some are missing"):
        Shards(place, "v").read("x")


def test_rows_out_of_range_are_refused(place):
    write_array(place, "v", {"x": np.ones(3, np.float32)})
    with pytest.raises(ArtifactError, match=r"rows 0..3 of 'v', which has 3"):
        Shards(place, "v").read("x", np.array([0, 3]))
