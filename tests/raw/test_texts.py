"""Columns of every Arrow type: read as text, or refused by the name of the type."""

import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.raw.ids import ids
from unisid.raw.texts import is_text, texts

LISTS = [
    pa.list_(pa.string()),
    pa.list_(pa.string_view()),
    pa.large_list(pa.large_string()),
    pa.list_(pa.string(), 2),
    pa.list_view(pa.string()),
    pa.large_list_view(pa.string_view()),
    pa.list_(pa.dictionary(pa.int8(), pa.string())),
]


def of(values, kind=None):
    """A column in two chunks, of which the first is sliced: offsets must count from the slice."""
    array = pa.array([*values[:1], *values], kind)
    return pa.chunked_array([array.slice(1, 1), array.slice(2)])


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_a_list_is_the_elements_that_are_there(kind):
    values = of([["a", None], None, ["b", "c"], [None, None]], kind)
    assert is_text(kind)
    assert texts(values, "x").to_pylist() == ["a", "", "b c", ""]


def test_lists_of_lists_are_joined_at_every_depth():
    values = of([[["Beauty", None], None, ["Hair", "Care"], []], None, []])
    assert is_text(values.type)
    assert texts(values, "x").to_pylist() == ["Beauty Hair Care", "", ""]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.string_view()),
    ],
    ids=str,
)
def test_every_type_of_text_is_read(kind):
    storage = kind.value_type if pa.types.is_dictionary(kind) else kind
    raw = [b"caf\xc3\xa9", None, b""] if "binary" in str(storage) else ["café", None, ""]
    if pa.types.is_dictionary(kind):
        entries = pa.array(["café", ""], kind.value_type)
        column = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, None, 1], kind.index_type), entries)])
    else:
        column = of(raw, kind)
    assert texts(column, "x").to_pylist() == ["café", "", ""]
    assert is_text(kind) != ("binary" in str(storage))


def test_run_lengths_extensions_and_nulls_are_read():
    import pyarrow.compute as pc

    runs = pa.chunked_array([pc.run_end_encode(pa.array(["a", "a", "b"]))])
    json = pa.chunked_array([pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}']))])
    assert is_text(runs.type)
    assert texts(runs, "x").to_pylist() == ["a", "a", "b"]
    assert is_text(json.type)
    assert texts(json, "x").to_pylist() == ['{"a":1}']
    assert texts(pa.chunked_array([pa.nulls(2)]), "x").to_pylist() == ["", ""]


@pytest.mark.parametrize("ends", [pa.int16(), pa.int32(), pa.int64()])
def test_runs_of_any_type_are_read_from_where_they_begin(ends):
    lists = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], ends), pa.array([["a", None], None, ["b", "c"]]))
    assert is_text(lists.type)
    assert texts(pa.chunked_array([lists.slice(1, 3), lists.slice(4), lists.slice(5)]), "x").to_pylist() == [
        "a",
        "",
        "b c",
        "b c",
    ]
    codes = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array([["a", "b"], ["c", None]]))
    assert texts(pa.chunked_array([codes.slice(1), codes]), "x").to_pylist() == ["", "a b", "c", "", "a b"]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([{"a": 1}], pa.struct([("a", pa.int64())]), r"^x: holds struct<a: int64>; text must be strings"),
        ([[("a", "b")]], pa.map_(pa.string(), pa.string()), r"^x: holds map<string, string>; text must"),
        ([b"\xff\xfe"], pa.binary(), r"^x: holds binary that is not UTF-8 text"),
        ([[b"\xff"]], pa.list_(pa.binary()), r"^x: holds binary that is not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_refused_by_its_type(values, kind, message):
    with pytest.raises(DataError, match=message):
        texts(of(values, kind), "x")


def test_bytes_that_only_claim_to_be_a_string_are_refused():
    broken = pa.array([b"\xff"], pa.binary()).view(pa.string())
    for read in (texts, ids):
        with pytest.raises(DataError, match=r"x: holds string that is not UTF-8"):
            read(pa.chunked_array([broken]), "x")
