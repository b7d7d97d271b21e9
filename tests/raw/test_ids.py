"""Ids out of columns of every Arrow type: exactly as written, or refused by the name of the type."""

import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.raw.ids import ids


def of(values, kind=None):
    """A column in two chunks, of which the first is sliced: offsets must count from the slice."""
    array = pa.array([*values[:1], *values], kind)
    return pa.chunked_array([array.slice(1, 1), array.slice(2)])


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (["007", " 8 "], pa.string_view(), ["007", "8"]),
        ([b"a", b"b"], pa.binary_view(), ["a", "b"]),
        ([2**62, 5], pa.int64(), [str(2**62), "5"]),
        ([2**63 + 1], pa.uint64(), [str(2**63 + 1)]),
        ([1.0, 2.0**53 - 1], pa.float64(), ["1", str(2**53 - 1)]),
        ([1.0, 2.0**24 - 1], pa.float32(), ["1", str(2**24 - 1)]),
        ([7, 10], pa.decimal128(20, 2), ["7", "10"]),
    ],
)
def test_ids_are_exactly_as_written(values, kind, words):
    assert ids(of(values, kind), "x").to_pylist() == words


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            [1.0, 2.0**53],
            pa.float64(),
            r"^x, row 2: 9007199254740992.0 is beyond 2\^53, where double holds several ids",
        ),
        ([2.0**24], pa.float32(), r"^x, row 1: 16777216.0 is beyond 2\^24, where float holds several"),
        ([float("inf")], pa.float64(), r"^x, row 1: inf is beyond 2\^53"),
        ([1.0, None], pa.float64(), r"^x, row 2: the id is missing"),
        (
            [[1, 2]],
            pa.list_(pa.int64()),
            r"^x: holds list<item: int64>; ids must be strings or whole numbers, one in a",
        ),
        ([["a"]], pa.large_list(pa.string()), r"^x: holds large_list<item: string>; ids must be strings"),
        ([{"a": 1}], pa.struct([("a", pa.int64())]), r"^x: holds struct<a: int64>; ids must be"),
        ([[("a", 1)]], pa.map_(pa.string(), pa.int64()), r"^x: holds map<string, int64>; ids must be"),
        ([b"0123456789abcdef"], pa.uuid(), r"^x: holds extension<arrow.uuid>; ids must be"),
        ([b"0123456789abcdef"], pa.binary(16), r"^x: holds fixed_size_binary\[16\]; ids must be"),
        ([b"\xff\xfe"], pa.binary(), r"^x: holds binary that is not UTF-8 text"),
        ([5], pa.time64("us"), r"^x: holds time64\[us\]; ids must be"),
        ([5], pa.duration("s"), r"^x: holds duration\[s\]; ids must be"),
        ([5.0], pa.float16(), r"^x: holds halffloat; ids must be"),
        ([True], pa.bool_(), r"^x: holds bool; ids must be"),
        ([None], pa.null(), r"^x, row 1: the id is missing"),
    ],
)
def test_what_holds_no_ids_is_refused_by_its_type(values, kind, message):
    column = pa.chunked_array([pa.array(values, kind)])
    with pytest.raises(DataError, match=message):
        ids(column, "x")


@pytest.mark.parametrize("entries", [pa.array(["b", "a"]), pa.array(["b", "a"], pa.string_view()), pa.array([8, 7])])
def test_ids_in_dictionaries_and_runs(entries):
    encoded = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int8()), entries)])
    first, second = (str(value) for value in entries.to_pylist())
    assert ids(encoded, "x").to_pylist() == [second, first, second]
    if not pa.types.is_string_view(entries.type):
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), entries)
        assert ids(pa.chunked_array([runs]), "x").to_pylist() == [first, first, second]
