"""Every artifact, written and read again, is what it was; and what a disk spoils is named, never read as if whole."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.artifacts.failing_disks import no_file_larger_than
from unisid.artifacts import (
    baseline,
    catalog,
    codes,
    embeddings,
    fused,
    graph,
    instructions,
    metrics,
    model,
    sequences,
)
from unisid.artifacts.curve import read_curve, read_score, write_curve
from unisid.artifacts.record import RECORD, Record, read_record, require, write_record
from unisid.artifacts.shards import Shards, to_arrow, to_ragged, write_array, write_shard
from unisid.artifacts.store import NOUNS, Place
from unisid.artifacts.tables import read_rows, read_table, table_name, write_table, write_tables
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.errors import ArtifactError
from unisid.legend import RECONSTRUCTION
from unisid.ops.prompts import Prompts
from unisid.ops.semantic_ids import parse, spell

N, D, LAYERS = 7, 3, 2
RNG = np.random.default_rng(0)


def complete(place, noun, counts=None, config=None, inputs=None):
    record = Record(
        address=f"{noun}/t/1", config=config or {}, inputs=inputs or {}, counts=counts or {}, files=place.sizes()
    )
    write_record(place, record)
    return record


@pytest.fixture(params=["disk", "memory"])
def anywhere(request, tmp_path):
    """An empty place on a disk, and one on another file system."""
    place = Place.of(tmp_path if request.param == "disk" else f"memory://{tmp_path.name}")
    yield place
    place.clear()


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


def test_embeddings(anywhere):
    pooled = RNG.normal(size=(N, D)).astype(np.float32)
    lengths = np.array([1, 0, 4, 2, 1, 3, 2])
    states = RNG.normal(size=(lengths.sum(), D)).astype(np.float16)
    starts = np.cumsum(lengths) - lengths
    for index, (a, b) in enumerate([(0, 3), (3, 6), (6, N)]):
        inside = states[starts[a] : starts[a] + lengths[a:b].sum()]
        table = pa.table({"pooled": to_arrow(pooled[a:b]), "states": to_ragged(inside, lengths[a:b])})
        write_shard(anywhere, embeddings.FAMILY, index, table)
    complete(anywhere, "embeddings", {"width": D, "has_states": True})
    read = embeddings.Embeddings.read(anywhere)
    assert (read.width, read.has_states, len(read.shards)) == (D, True, N)
    np.testing.assert_array_equal(read.pooled(), pooled)
    np.testing.assert_array_equal(read.pooled(np.array([6, 0, 6])), pooled[[6, 0, 6]])
    values, found = read.shards.read_ragged("states", np.arange(N))
    np.testing.assert_array_equal(values, states)
    np.testing.assert_array_equal(found, lengths)
    assert (values.dtype, read.pooled().dtype) == (np.float16, np.float32)


def test_graph(anywhere):
    layers = RNG.normal(size=(N, LAYERS, D)).astype(np.float32)
    degree, vectors = np.arange(N, dtype=np.int32), RNG.normal(size=(4, D)).astype(np.float32)
    write_array(anywhere, graph.ITEMS, {"layers": layers, "degree": degree}, shard_rows=3)
    write_array(anywhere, graph.USERS, {"vector": vectors})
    complete(anywhere, "graph", {"layers": LAYERS, "width": D})
    read = graph.Graph.read(anywhere)
    np.testing.assert_array_equal(read.layers(), layers)
    np.testing.assert_array_equal(read.layers(np.array([5, 1])), layers[[5, 1]])
    np.testing.assert_array_equal(read.degree(), degree)
    np.testing.assert_array_equal(Shards(anywhere, graph.USERS).read("vector"), vectors)


def test_fused(anywhere):
    vectors, alone = RNG.normal(size=(N, D)).astype(np.float32), np.arange(N) % 2 == 0
    write_array(anywhere, fused.FAMILY, {"vector": vectors, "text_only": alone}, shard_rows=2)
    complete(anywhere, "fused", {"width": D})
    read = fused.Fused.read(anywhere)
    assert read.width == D
    np.testing.assert_array_equal(read.vectors(), vectors)
    np.testing.assert_array_equal(read.vectors(np.array([6, 2])), vectors[[6, 2]])
    np.testing.assert_array_equal(read.text_only(), alone)


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


def test_model(anywhere):
    index = anywhere / "codes"
    codes.write_codes(index, np.array([[0, 1], [1, 0]]), (2, 2))
    spoken = complete(index, "codes", {"sizes": [2, 2]})
    shared = torch.arange(6.0).reshape(2, 3)
    given_ = {
        "a": shared,
        "tied": shared,
        "turned": shared.T,
        "half": torch.ones(2, dtype=torch.bfloat16),
        "number": torch.tensor(3),
    }
    place = anywhere / "model"
    model.write_model(
        place, {"kind": "tiger", "width": 8, "rate": 0.1}, given_, {"config.json": b"{}", "x.jinja": b"x"}
    )
    complete(place, "model", inputs={"codes": {"address": spoken.address, "fingerprint": spoken.fingerprint}})
    read = model.Model.read(place, codes.Codes.read(index))
    assert read.backbone() == {"kind": "tiger", "width": 8, "rate": 0.1}
    assert read.files() == {"config.json": b"{}", "x.jinja": b"x"}
    found = read.weights()
    assert found.keys() == given_.keys()
    for name, tensor in given_.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


def test_instructions(anywhere):
    rows = {
        "task": ["next", "sid_to_title"],
        "user": [4, -1],
        "target": [2, 5],
        "head": ["took ", ""],
        "pieces": [[3, 1], [5]],
        "separator": [", ", "\n"],
        "tail": [", then?", " is?"],
        "response": ["<a_1>", "naïve «pen»"],
    }
    table = pa.table(rows)
    write_tables(anywhere, "train", [table[:1], table[1:]])
    write_table(anywhere, "valid", 0, table[:0])
    complete(anywhere, "instructions", {"train": 2, "valid": 0}, {"tasks": ["next", "sid_to_title"]})
    read = instructions.Instructions.read(anywhere)
    assert read.table("train").equals(table)
    assert tuple(read.table("train").column_names) == instructions.COLUMNS
    assert read.table("valid").schema == table.schema
    assert (read.num_rows("train"), read.num_rows("valid")) == (2, 0)
    assert read.tasks == ("next", "sid_to_title")
    assert read.prompts() == Prompts()
    assert read.words == (*instructions.WORDS, "separator")


def test_instructions_of_an_older_version_have_no_separator(anywhere):
    rows = {"task": ["next"], "user": [4], "target": [2], "head": ["took "], "pieces": [["x"]], "tail": ["?"]}
    write_table(anywhere, "train", 0, pa.table(rows | {"response": ["<a_1>"]}))
    complete(anywhere, "instructions", {"train": 1, "valid": 0}, {"tasks": ["next"]})
    read = instructions.Instructions.read(anywhere)
    assert read.words == instructions.WORDS
    assert read.table("train").column_names == [name for name in instructions.COLUMNS if name != "separator"]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"next": ["a", "b"]}', b'{"next": "abc"}'])
def test_damaged_prompts_are_named(anywhere, data):
    with anywhere.writing("prompts.json") as stream:
        stream.write(data)
    complete(anywhere, "instructions", {"train": 0, "valid": 0}, {"tasks": ["next"]})
    with pytest.raises(ArtifactError, match=r"/prompts.json: is not"):
        instructions.Instructions.read(anywhere).prompts()


@pytest.mark.parametrize("weights", [{"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}, None])
def test_baseline(anywhere, weights):
    settings, chosen = {"kind": "sasrec", "width": 8}, {"decay": 0.5}
    baseline.write_baseline(anywhere, settings, chosen, weights)
    results = {"sasrec": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.05, "high": 0.3}}}}
    ranks = pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None], "allowed": [3.0, None]})
    write_json(anywhere, "metrics.json", results)
    write_table(anywhere, "ranks-sasrec", 0, ranks)
    complete(anywhere, "baseline", config={"baseline": settings})
    read = baseline.Baseline.read(anywhere)
    assert (read.method, read.settings(), read.chosen()) == ("sasrec", settings, chosen)
    assert read.results() == results
    assert read.ranks().equals(ranks)
    found = read.weights()
    assert found.keys() == (weights or {}).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in (weights or {}).items())


def test_metrics(anywhere):
    results = {"uqf-tiger": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.05, "high": 0.3}}}}
    ranks = pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None], "allowed": [3.0, None]})
    write_json(anywhere, "metrics.json", results)
    write_table(anywhere, "ranks-uqf-tiger", 0, ranks)
    complete(anywhere, "metrics")
    read = metrics.Metrics.read(anywhere)
    assert read.results() == results
    assert read.ranks("uqf-tiger").equals(ranks)
    assert read.ranks("uqf-tiger")["excluded"].null_count == 1


def test_curve(anywhere):
    curve = [(0, "loss", 0.5), (0, "valid", 1.0), (3, "loss", 0.1)]
    write_curve(anywhere, [])
    assert read_curve(anywhere) == []
    assert read_score(anywhere) is None
    write_curve(anywhere, curve)
    assert read_curve(anywhere) == curve
    assert read_score(anywhere) is None, "a curve from before they said it"
    write_curve(anywhere, curve, RECONSTRUCTION)
    assert read_curve(anywhere) == curve
    assert read_score(anywhere) == RECONSTRUCTION


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
