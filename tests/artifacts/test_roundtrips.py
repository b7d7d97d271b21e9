"""Every artifact, written and read again, is what it was; and what a disk spoils is named, never read as if whole."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.artifacts.artifacts import complete
from tests.artifacts.failing_disks import no_file_larger_than
from unisid.artifacts import (
    catalog,
    codes,
    sequences,
)
from unisid.artifacts.record import RECORD, Record, read_record, require, write_record
from unisid.artifacts.shards import Shards, write_array
from unisid.artifacts.store import NOUNS, Place
from unisid.artifacts.tables import read_rows, read_table, table_name, write_table, write_tables
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.errors import ArtifactError
from unisid.ops.semantic_ids import parse, spell

N, D = 7, 3


def test_record(anywhere):
    record = Record(
        address="codes/t/1",
        config={"tokenizer": {"kind": "rqvae", "levels": 3, "rate": 0.1}, "none": None},
        inputs={"fused": {"address": "fused/t/1", "fingerprint": "ab"}},
        counts={"items": 3, "sizes": [4, 5], "quality": {"distinct": 0.5}},
        files={"x.bin": 4},
        code_version="1",
        seconds=1.25,
        created="2026-01-02T03:04:05+00:00",
        runtime={"pool.workers": 2},
    )
    write_record(anywhere, record)
    assert read_record(anywhere) == record


users = st.lists(st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, 2)), max_size=6), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(users)
def test_catalog(tmp_path_factory, rows):
    place = Place.of(tmp_path_factory.mktemp("catalog"))
    user = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    item = np.array([i for r in rows for i, _ in r], np.int64)
    split = np.array([label for r in rows for label in sorted(s for _, s in r)], np.int64)
    time = np.arange(len(user)) - 2**40
    catalog.write_interactions(place, user, item, time, split)
    names = pa.array([f"naïve «{i}»" for i in range(N)])
    write_tables(
        place, "items", [pa.table({"item_id": names[a : a + 3], "title": names[a : a + 3]}) for a in (0, 3, 6)]
    )
    write_table(place, "users", 0, pa.table({"user_id": [f"u{n}" for n in range(len(rows))]}))
    complete(place, "catalog", {"items": N, "users": len(rows)}, {"history_length": 2})
    read = catalog.Catalog.read(place)
    assert (read.num_items, read.num_users, read.history_length) == (N, len(rows), 2)
    assert read.item_ids.to_pylist() == read.titles.to_pylist() == names.to_pylist()
    assert read.user_ids.to_pylist() == [f"u{n}" for n in range(len(rows))]
    for found, given_, kind in (
        (read.user, user, "i4"),
        (read.item, item, "i4"),
        (read.timestamp, time, "i8"),
        (read.split, split, "i1"),
    ):
        np.testing.assert_array_equal(found, given_)
        assert found.dtype == kind
    for number, row in enumerate(rows):
        assert read.item[read.offsets[number] : read.offsets[number + 1]].tolist() == [i for i, _ in row]


def test_codes(anywhere, monkeypatch):
    monkeypatch.setattr(codes, "ROWS_PER_FILE", 3)
    sizes, given_ = (3, 2, 2), np.stack(np.unravel_index(np.random.default_rng(1).permutation(12)[:N], (3, 2, 2)), 1)
    codes.write_codes(anywhere, given_, sizes)
    complete(anywhere, "codes", {"sizes": list(sizes)})
    read = codes.Codes.read(anywhere)
    assert (read.sizes, read.num_levels, read.num_tokens) == (sizes, 3, 7)
    np.testing.assert_array_equal(read.codes, given_)
    for item, row in enumerate(given_.tolist()):
        assert read.find(parse(spell(row))).tolist() == [item]


def test_sequences(anywhere):
    table = pa.table(
        {
            "user": pa.array([0, 1, 4], pa.int32()),
            "history": pa.array([[3], [1, 2], [6, 5, 4]], pa.list_(pa.int32())),
            "target": pa.array([1, 0, 2], pa.int32()),
        }
    )
    write_tables(anywhere, "train", [table[:2], table[2:]])
    write_table(anywhere, "test", 0, table[:0])
    complete(anywhere, "sequences", {"train": 3, "valid": 0, "test": 0})
    read = sequences.Sequences.read(anywhere)
    assert read.table("train").equals(table)
    assert tuple(read.table("train").column_names) == sequences.COLUMNS
    assert read.table("test").schema == table.schema
    assert (read.num_samples("train"), read.num_samples("test")) == (3, 0)
    with pytest.raises(ArtifactError, match="no table 'valid' here"):
        read.table("valid")


def write_vectors(place):
    write_array(place, "v", {"x": np.ones((9, D), np.float32)})


def write_rows(place):
    write_table(place, "t", 0, pa.table({"a": list(range(30))}))


def write_tensors(place):
    write_weights(place, "w.safetensors", {"a": torch.ones(9)})


def write_words(place):
    write_json(place, "j.json", {"a": [1, 2]})


KINDS = [
    ("v-00000.arrow", write_vectors, lambda place: Shards(place, "v").read("x")),
    (table_name("t", 0), write_rows, lambda place: read_table(place, "t")),
    (table_name("t", 0), write_rows, lambda place: read_rows(place, "t", 0, 3)),
    ("w.safetensors", write_tensors, lambda place: read_weights(place, "w.safetensors")),
    ("j.json", write_words, lambda place: read_json(place, "j.json")),
    (RECORD, lambda place: complete(place, "codes"), read_record),
]


@pytest.mark.parametrize(("name", "write", "read"), KINDS)
def test_a_file_cut_anywhere_is_named(place, name, write, read):
    write(place)
    whole = place.read(name)
    for length in sorted({0, 1, 4, 8, len(whole) // 3, len(whole) // 2, len(whole) - 8, len(whole) - 3}):
        place.write(name, whole[:length])
        with pytest.raises(ArtifactError, match=rf"{name}: is not a (whole|record)|{name}: is not whole JSON"):
            read(place)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "null",
        "[]",
        '"x"',
        '{"fingerprint": 5, "address": 5}',
        '{"fingerprint": "a", "address": "codes/t/1", "config": {}, "inputs": []}',
        '{"fingerprint": "a", "address": "codes/t/1", "config": {}, "inputs": {"fused": {}}}',
    ],
)
def test_what_is_no_record_is_refused(place, text):
    place.write(RECORD, text.encode())
    with pytest.raises(ArtifactError, match=r"record.json: is not a record .*; delete the folder and make it anew"):
        read_record(place)


@pytest.mark.parametrize("damage", ["cut", "gone"])
@pytest.mark.parametrize("noun", NOUNS)
def test_a_complete_artifact_that_lost_something_is_refused(place, noun, damage):
    place.write("part.bin", b"12345678")
    complete(place, noun)
    require(place, noun)
    if damage == "cut":
        place.write("part.bin", b"1234")
    else:
        place.remove("part.bin")
    with pytest.raises(ArtifactError, match=r"part.bin: has (4|no) bytes, its record says 8: .* make it anew"):
        require(place, noun)


@pytest.mark.parametrize(("name", "write", "read"), KINDS)
def test_a_full_disk_leaves_no_part_of_a_file(place, name, write, read):
    with no_file_larger_than(16), pytest.raises(ArtifactError, match=rf"{name}: cannot be written .*free space"):
        write(place)
    assert not place.sizes()
    assert list(Path(place.uri).iterdir()) == []
    write(place)
    read(place)


def test_what_cannot_be_read_or_removed_says_so(place):
    (place / "folder").write("x", b"1")
    for reading in (place.read, place.open):
        with pytest.raises(ArtifactError, match="/folder: cannot be read"):
            reading("folder")
    with pytest.raises(ArtifactError, match=r"/folder: cannot be removed .*rights to write"):
        place.remove("folder")
