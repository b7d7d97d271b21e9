"""The codes artifact: uniqueness is enforced, lookup works both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import prefixes as twin
from unisid.artifacts.codes import Codes, write_codes
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, DataError

SIZES = (3, 4, 5)


def index(place, codes, sizes=SIZES):
    write_codes(place, codes, sizes)
    record = Record(address="codes/t/1", config={}, inputs={}, counts={"sizes": list(sizes)}, files=place.sizes())
    write_record(place, record)
    return Codes.read(place)


@st.composite
def indexes(draw):
    """Unique codes of 1 to 40 levels of unequal sizes, up to 2^20 codes each: many share a prefix."""
    sizes = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 256, 1 << 20]), min_size=1, max_size=40)))
    one = draw(st.tuples(*(st.integers(0, size - 1) for size in sizes)))
    others = st.tuples(*(st.sampled_from(sorted({code, 0, size - 1})) for code, size in zip(one, sizes, strict=True)))
    rows = draw(st.lists(others, max_size=40, unique=True).filter(len))
    return np.array(rows, np.int32), sizes


@settings(max_examples=60, deadline=None)
@given(indexes())
def test_lookup_works_both_ways(tmp_path_factory, made):
    codes, sizes = made
    found = index(Place.of(tmp_path_factory.mktemp("codes")), codes, sizes)
    np.testing.assert_array_equal(found.codes, codes)
    assert found.sizes == sizes
    rows = codes.tolist()
    for item, row in enumerate(rows):
        assert found.find(tuple(row)).tolist() == [item]
        for length in {0, 1, len(sizes) // 2, len(sizes) - 1}:
            assert found.find(tuple(row[:length])).tolist() == twin.found(rows, row[:length])
    tokens = found.tokens(np.arange(len(codes)))
    assert tokens.dtype == found.codes.dtype == np.int32
    starts = np.concatenate([[0], np.cumsum(sizes)])
    assert ((tokens >= starts[:-1]) & (tokens < starts[1:])).all()
    assert np.array_equal(tokens - starts[:-1], codes)


def test_one_equal_row_among_many_of_32_levels_is_refused(place):
    codes = np.random.default_rng(0).integers(0, 256, (2000, 32))
    write_codes(place, codes, (256,) * 32)
    codes[1500] = codes[3]
    with pytest.raises(ArtifactError, match="share a semantic id"):
        write_codes(place, codes, (256,) * 32)


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
