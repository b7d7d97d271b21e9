"""The codes artifact: uniqueness is enforced, lookup works both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.artifacts.codes import Codes, pack, write_codes
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, DataError

SIZES = (3, 4, 5)


def index(place, codes, sizes=SIZES):
    write_codes(place, codes, sizes)
    record = Record(address="codes/t/1", config={}, inputs={}, counts={"sizes": list(sizes)}, files=place.sizes())
    write_record(place, record)
    return Codes.read(place)


unique_codes = st.lists(st.tuples(*(st.integers(0, k - 1) for k in SIZES)), min_size=1, max_size=60, unique=True).map(
    lambda rows: np.array(rows, np.int32)
)


@settings(max_examples=30, deadline=None)
@given(unique_codes)
def test_lookup_works_both_ways(tmp_path_factory, codes):
    found = index(Place.of(tmp_path_factory.mktemp("codes")), codes)
    np.testing.assert_array_equal(found.codes, codes)
    for item, row in enumerate(codes):
        assert found.find(tuple(row)).tolist() == [item]
        for length in (0, 1, 2):
            wanted = [i for i, other in enumerate(codes) if tuple(other[:length]) == tuple(row[:length])]
            assert sorted(found.find(tuple(row[:length])).tolist()) == wanted
    tokens = found.tokens(np.arange(len(codes)))
    for level, start in enumerate([0, 3, 7]):
        assert ((tokens[:, level] >= start) & (tokens[:, level] < start + SIZES[level])).all()


def test_packing_keeps_lexicographic_order():
    codes = np.array([[a, b, c] for a in range(3) for b in range(4) for c in range(5)])
    assert pack(codes, SIZES).tolist() == list(range(60))
    with pytest.raises(ArtifactError, match="do not fit 63 bits"):
        pack(codes, (2**30, 2**30, 2**30))


def test_shared_or_impossible_codes_are_refused(place):
    with pytest.raises(ArtifactError, match="share a semantic id"):
        write_codes(place, np.array([[1, 1, 1], [1, 1, 1]]), SIZES)
    with pytest.raises(ArtifactError, match="codes reach"):
        write_codes(place, np.array([[3, 0, 0]]), SIZES)


def test_too_many_levels_are_refused(place):
    with pytest.raises(DataError, match="has 4 levels, this index has 3"):
        index(place, np.array([[0, 0, 0]])).find((0, 0, 0, 0))


def test_a_code_beyond_its_level_is_nobodys(place):
    """As an integer, (0, 5) would be (1, 1)."""
    found = index(place, np.array([[1, 1, 0], [1, 1, 4]]))
    assert found.find((1, 1)).tolist() == [0, 1]
    for prefix in ((0, 5), (0, 4, 0), (3,), (1, 0, 5)):
        assert found.find(prefix).tolist() == []
