"""Records as JSON: what is written is read, what was changed breaks the seal, and what no version writes is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.artifacts.record_json import DEEPEST, FORMAT, LARGEST, SEALED, parsed, seal, text
from unisid.errors import UnreadableError

BODY = {"address": "codes/t/1", "config": {"a": 1}, "inputs": {}, "fingerprint": "ab", "seconds": 1.5, "files": {}}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST + 1, LARGEST - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), values, max_size=3), st.dictionaries(st.text(), values, max_size=3))
def test_what_is_written_is_read_with_a_seal_that_holds(config, counts):
    body = BODY | {"config": config, "counts": counts}
    found = parsed(text(body), "here")
    assert found == body | {"seal": seal(body)}
    assert seal(found) == found["seal"]


@pytest.mark.parametrize("name", SEALED)
def test_the_seal_covers_what_no_file_proves(name):
    assert seal(BODY | {name: "another"}) != seal(BODY)


def test_the_seal_does_not_follow_the_order_of_keys_or_what_files_prove():
    assert seal(dict(reversed(BODY.items()))) == seal(BODY | {"files": {"x": 1}, "created": "now"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"address": "codes"}, "address"),
        ({"address": 1}, "'address' is a whole number, must be text"),
        ({"config": None}, "'config' is null, must be an object"),
        ({"order": True}, "'order' is true or false, must be a whole number"),
        ({"seconds": -1.0}, "'seconds' is -1.0, must be a time"),
        ({"seconds": float("inf")}, "must be a time"),
        ({"counts": {"n": 10**30}}, "it holds a number of 31 digits"),
        ({"inputs": {"catalog": {"address": "catalog/t/1"}}}, "inputs.catalog must be an object of texts"),
        ({"inputs": {"catalog": {"address": "no", "fingerprint": "a"}}}, "no"),
        ({"files": {"a/b": 1}}, "files has 'a/b': 1"),
        ({"files": {"x": -1}}, "files has 'x': -1"),
        ({"files": {"x": True}}, "files has 'x': True"),
        ({"sums": {"x": "crc32:0"}}, "sums has 'x'"),
    ],
)
def test_what_no_version_writes_is_refused_by_name(change, why):
    with pytest.raises(ValueError, match=why):
        parsed(text(BODY | change), "here")


@pytest.mark.parametrize("name", ["address", "config", "inputs", "fingerprint"])
def test_what_every_record_has_is_needed(name):
    body = {key: value for key, value in BODY.items() if key != name}
    with pytest.raises(ValueError, match=f"it has no '{name}'"):
        parsed(text(body), "here")


def test_other_json_is_refused():
    with pytest.raises(ValueError, match="it is a list, must be an object"):
        parsed(b"[]", "here")
    deep = json.dumps(BODY | {"counts": {"a": json.loads("[" * DEEPEST + "]" * DEEPEST)}}).encode()
    with pytest.raises(ValueError, match=f"nested more than {DEEPEST} levels"):
        parsed(deep, "here")


def test_a_newer_format_is_not_called_damaged():
    with pytest.raises(UnreadableError, match=f"here: has format {FORMAT + 1}, of unisid 9.*Nothing is damaged"):
        parsed(text(BODY | {"format": FORMAT + 1, "code_version": "9"}), "here")
    assert parsed(text(BODY | {"later": [1]}), "here")["later"] == [1]
