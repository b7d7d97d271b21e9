"""Damage of any kind, in any file of any artifact: noticed, named, and never a raw exception."""

import json
import re
import shutil
import subprocess
import sys
import zlib

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save

from tests.artifacts import artifacts
from unisid import cli
from unisid.artifacts import draft as drafts
from unisid.artifacts.reading import SETTING
from unisid.artifacts.record import RECORD, Record, read_record, write_record
from unisid.artifacts.shards import to_arrow, write_shard
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.artifacts.sums import LEFT
from unisid.artifacts.tables import write_table
from unisid.artifacts.verify import verify
from unisid.artifacts.weights import write_json
from unisid.errors import ArtifactError, UnisidError, UnreadableError


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A store with every noun; not to be changed."""
    store = Store(Place.of(tmp_path_factory.mktemp("original")))
    artifacts.write(store)
    return store


@pytest.fixture(scope="module")
def files(original):
    """(noun, name) of every data file."""
    return [(noun, name) for noun in NOUNS for name in read_record(artifacts.place_of(original, noun)).files]


@pytest.fixture
def store(original, tmp_path):
    """A copy that may be spoiled."""
    shutil.copytree(original.root.uri, tmp_path / "copy")
    return Store(Place.of(tmp_path / "copy"))


@pytest.fixture
def from_afar(original):
    """The same on a file system that is none of this machine's."""
    root = Place("memory://unisid-damage")
    for noun in NOUNS:
        source, target = artifacts.place_of(original, noun), artifacts.place_of(Store(root), noun)
        for name in [*source.sizes()]:
            target.write(name, source.read(name))
    yield Store(root)
    root.clear()


def flip(data: bytes, position: int) -> bytes:
    """One bit is another."""
    return data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]


def spoil(store: Store, noun: str, name: str, data: bytes, sums: bool = True) -> None:
    """Put other bytes in a file's place; its record gives their size and, unless `sums` are kept, no checksums."""
    place = artifacts.place_of(store, noun)
    place.write(name, data)
    body = json.loads(place.read(RECORD))
    body["files"][name] = len(data)
    if not sums:
        for field in ("sums", "seal", "order"):
            body.pop(field, None)
    place.write(RECORD, json.dumps(body).encode())


def test_every_file_has_a_checksum_and_nothing_is_left_beside(original, files):
    assert len(files) > 30
    for noun in NOUNS:
        place = artifacts.place_of(original, noun)
        record = read_record(place)
        assert record.sums == {name: place.checksum(name) for name in record.files}
        assert not (place / LEFT).exists()
        assert verify(place).state == "whole"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.98])
def test_one_flipped_bit_is_named_by_every_reader(store, original, files, share):
    """Wherever it is, in whichever file."""
    for noun, name in files:
        place = artifacts.place_of(store, noun)
        whole = place.read(name)
        place.write(name, flip(whole, int(len(whole) * share)))
        with pytest.raises(ArtifactError, match=rf"{noun}/t/1/{name}: .*unisid drop {noun}/t/1, then run its recipe"):
            artifacts.read(store, noun)
        place.write(name, whole)
        assert artifacts.read(store, noun) == artifacts.read(original, noun)


def test_one_flipped_bit_is_named_from_afar(from_afar, original, files):
    for noun, name in files:
        place = artifacts.place_of(from_afar, noun)
        whole = place.read(name)
        assert artifacts.read(from_afar, noun) == artifacts.read(original, noun)
        place.write(name, flip(whole, len(whole) // 2))
        with pytest.raises(ArtifactError, match=f"{noun}/t/1/{name}: "):
            artifacts.read(from_afar, noun)
        assert verify(place).damaged
        place.write(name, whole)


def test_a_flipped_bit_of_a_record_changes_nothing_unsaid(store, original):
    """But for the time, which is shown and breaks ties."""
    for noun in NOUNS:
        place, wanted = artifacts.place_of(store, noun), read_record(artifacts.place_of(original, noun))
        whole = place.read(RECORD)
        for position in range(0, len(whole), 3):
            place.write(RECORD, flip(whole, position))
            try:
                found = read_record(place)
                values = artifacts.read(store, noun)
            except UnisidError:
                continue
            assert values == artifacts.read(original, noun)
            assert (found.counts, found.config, found.inputs) == (wanted.counts, wanted.config, wanted.inputs)
        place.write(RECORD, whole)


def test_the_comparison_can_be_left_out(store, monkeypatch):
    place = artifacts.place_of(store, "fused")
    whole = place.read("vectors-00000.arrow")
    position = whole.index(np.float32(artifacts.read(store, "fused")[1][1][0][0]).tobytes())
    place.write("vectors-00000.arrow", flip(whole, position))
    monkeypatch.setenv(SETTING, "never")
    artifacts.read(store, "fused")
    monkeypatch.setenv(SETTING, "once")
    with pytest.raises(ArtifactError, match="its bytes have changed since they were written"):
        artifacts.read(store, "fused")
    monkeypatch.setenv(SETTING, "maybe")
    with pytest.raises(UnisidError, match="UNISID_VERIFY: 'maybe' must be once or never"):
        artifacts.read(store, "fused")


def test_a_file_that_lies_there_unrecorded_is_refused(store):
    """It would be read with the others."""
    place = artifacts.place_of(store, "catalog")
    write_table(place, "items", 1, pa.table({"item_id": ["x"], "title": ["x"], "text": ["x"]}))
    with pytest.raises(ArtifactError, match=r"items-00001.parquet: is none of the files that record.json names"):
        artifacts.read(store, "catalog")


CHANGES = {
    "empty": lambda data, _: b"",
    "cut": lambda data, _: data[: len(data) // 2],
    "a byte short": lambda data, _: data[:-1],
    "zeros": lambda data, _: bytes(len(data)),
    "zeros inside": lambda data, _: data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * len(data) // 3 :],
    "another's": lambda _, other: other,
    "text": lambda data, _: b"not at all" * 9,
}


@pytest.mark.parametrize("change", CHANGES)
def test_without_checksums_a_spoiled_file_is_still_no_raw_exception(store, original, files, change):
    """An artifact made before there were any: what its readers cannot make sense of, they name."""
    for (noun, name), (other_noun, other) in zip(files, files[5:] + files[:5], strict=True):
        place = artifacts.place_of(store, noun)
        whole, record = place.read(name), place.read(RECORD)
        strange = artifacts.place_of(original, other_noun).read(other)
        spoil(store, noun, name, CHANGES[change](whole, strange), sums=False)
        said = f"{noun}/t/1/"
        try:
            artifacts.read(store, noun)
        except ArtifactError as error:
            said = str(error)
        assert f"{noun}/t/1/" in said
        place.write(name, whole)
        place.write(RECORD, record)


def shard(**columns):
    return lambda place, name: write_shard(place, name[:-12], int(name[-11:-6]), pa.table(columns))


def table(**columns):
    return lambda place, name: write_table(place, name[:-14], int(name[-13:-8]), pa.table(columns))


def lone_table(**columns):
    def write(place, name):
        write_table(place / "other", "t", 0, pa.table(columns))
        place.write(name, (place / "other").read("t-00000.parquet"))

    return write


def text(value):
    return lambda place, name: write_json(place, name, value)


WIDE = to_arrow(np.ones((artifacts.N, 5), np.float32))
WRONG = [
    ("catalog", "items-00000.parquet", table(item_id=["x"] * 7)),
    ("catalog", "items-00000.parquet", table(item_id=[1] * 7, title=["x"] * 7)),
    ("catalog", "items-00000.parquet", table(item_id=["x"], title=["x"])),
    ("catalog", "users-00000.parquet", table(user_id=[1.5] * 3)),
    ("catalog", "interactions-00000.parquet", table(user=[0], item=[0], timestamp=[0])),
    ("catalog", "interactions-00000.parquet", table(user=["a"], item=[0], timestamp=[0], split=[0])),
    ("catalog", "interactions-00000.parquet", table(user=[0], item=[None], timestamp=[0], split=[0])),
    ("catalog", "interactions-00000.parquet", table(user=[0], item=[99], timestamp=[0], split=[0])),
    ("catalog", "interactions-00000.parquet", table(user=[0], item=[-1], timestamp=[0], split=[0])),
    ("catalog", "interactions-00000.parquet", table(user=[0], item=[1], timestamp=[0], split=[9])),
    ("embeddings", "states-00000.arrow", shard(states=WIDE)),
    ("embeddings", "states-00000.arrow", shard(pooled=["a"] * 7)),
    ("embeddings", "states-00000.arrow", shard(pooled=WIDE, states=WIDE)),
    ("graph", "items-00001.arrow", shard(degree=[1, 2, 3])),
    ("graph", "items-00000.arrow", shard(layers=WIDE, degree=[1] * 7)),
    ("fused", "vectors-00000.arrow", shard(vector=WIDE)),
    ("fused", "vectors-00000.arrow", shard(vector=[1.0, None], text_only=[True, False])),
    ("codes", "items-00000.parquet", table(codes=[[1, 2]] * 7)),
    ("codes", "items-00000.parquet", table(codes=[3] * 7)),
    ("codes", "items-00000.parquet", table(codes=to_arrow(np.full((7, 2), 9, np.int32)))),
    ("codes", "items-00000.parquet", table(codes=to_arrow(np.zeros((7, 3), np.int32)))),
    ("codes", "quality.json", text([1])),
    ("sequences", "valid-00000.parquet", table(user=[1])),
    ("keywords", "tokens-00000.parquet", table(keywords=["a"], token=["b"])),
    ("instructions", "train-00000.parquet", table(task=["next"])),
    ("instructions", "prompts.json", text({"next": ["a", "b"]})),
    ("model", "backbone.json", text("tiger")),
    ("baseline", "baseline.json", text({"baseline": {"kind": "toy"}})),
    ("baseline", "baseline.json", text({"baseline": 5, "chosen": {}})),
    ("baseline", "metrics.json", text({"toy": 0.5})),
    ("metrics", "metrics.json", text({"toy": {"excluded": [1]}})),
    ("metrics", "comparisons.json", text({"toy": {"excluded": {"HR@10": "x"}}})),
    ("metrics", "ranks-toy-00000.parquet", table(user=[1])),
    ("model", "curve.parquet", lone_table(step=["x"], name=["y"], value=[1])),
    ("model", "curve.parquet", lone_table(step=[1])),
]


@pytest.mark.parametrize(("noun", "name", "write"), WRONG)
def test_without_checksums_a_file_of_another_form_is_named(store, noun, name, write):
    place = artifacts.place_of(store, noun)
    write(place, name)
    spoil(store, noun, name, place.read(name), sums=False)
    with pytest.raises(ArtifactError, match=rf"{noun}/t/1/.*({name}|record.json).*unisid drop {noun}/t/1"):
        artifacts.read(store, noun)


@pytest.mark.parametrize("data", [b"", save({"a": torch.ones(1)})[:-1], b"\xff" * 40, b"\x02" + bytes(7) + b"[]"])
def test_weights_that_are_none_are_no_raw_exception(store, data):
    spoil(store, "model", "model.safetensors", data, sums=False)
    with pytest.raises(ArtifactError, match="model/t/1/model.safetensors: is not a whole safetensors file"):
        artifacts.read(store, "model")


def test_the_command_line_verifies_every_byte(store, capsys):
    def verified(*words):
        code = cli.main(["verify", *words, "--store", store.root.uri])
        return code, *capsys.readouterr()

    code, table_, complaint = verified()
    assert (code, complaint) == (0, "")
    head, *rows = table_.splitlines()
    assert head.split() == ["artifact", "files", "bytes", "state"]
    assert [row.split()[0] for row in rows] == [f"{noun}/t/1" for noun in NOUNS]
    assert all(row.endswith("  whole") for row in rows)

    place = artifacts.place_of(store, "graph")
    place.write("users-00000.arrow", flip(place.read("users-00000.arrow"), 99))
    spoil(store, "codes", "quality.json", artifacts.place_of(store, "codes").read("quality.json"), sums=False)
    code, table_, complaint = verified()
    states = {row.split()[0]: re.split(" {2,}", row)[-1] for row in table_.splitlines()[1:]}
    assert code == 1
    assert states.pop("graph/t/1") == "damaged: users-00000.arrow: changed since they were written"
    assert states.pop("codes/t/1") == "whole by size; 3 files have no checksum"
    assert set(states.values()) == {"whole"}
    assert "1 damaged, as listed" in complaint
    assert "unisid drop graph/t/1" in complaint
    assert verified("codes/t/1", "fused/t/1")[0] == 0
    assert verified("graph/t/1")[0] == 1
    assert "not in" in verified("graph/none/1")[2]


def test_what_may_not_be_read_is_not_called_damaged(store, capsys, monkeypatch):
    reading = Place.read

    def refused(place, name):
        if place.address == Address("codes", "t", "1"):
            raise UnreadableError(f"{place}/{name}: cannot be read (Permission denied)")
        return reading(place, name)

    monkeypatch.setattr(Place, "read", refused)
    for command in ("list", "verify"):
        assert cli.main([command, "--store", store.root.uri]) == 1
        shown = capsys.readouterr()
        assert "cannot be read (Permission denied)" in shown.out
        assert "1 cannot be read, as listed; nothing says that they are damaged" in shown.err
        assert "drop" not in shown.out + shown.err


def test_checksums_come_from_the_writers_processes(place, monkeypatch):
    """Completing an artifact reads none of its files again."""
    program = (
        "import sys, numpy; from unisid.artifacts.shards import write_array; from unisid.artifacts.store import Place; "
        "write_array(Place(sys.argv[1]), 'v', {'x': numpy.arange(9.0)}, shard_rows=4)"
    )
    subprocess.run([sys.executable, "-c", program, place.uri], check=True)
    wanted = {name: place.checksum(name) for name in place.sizes()}
    with monkeypatch.context() as patch:
        patch.setattr(Place, "checksum", lambda *_: pytest.fail("a file was read again"))
        write_record(place, Record(address="codes/t/1", config={}, inputs={}, files=place.sizes()))
    assert len(wanted) == 3
    assert read_record(place).sums == wanted


def test_where_writers_differ_the_file_itself_says(place):
    """A part that runs twice may write other bytes; one that is killed has left its checksum, but no file."""
    for data in (b"first", b"other"):
        with place.writing("x.bin") as stream:
            stream.write(data)
    (place / LEFT).write("5-00000000-y.bin", b"")
    place.write("y.bin", b"right")
    (place / LEFT).write("what is this", b"")
    write_record(place, Record(address="codes/t/1", config={}, inputs={}, files=place.sizes()))
    assert read_record(place).sums["x.bin"] == place.checksum("x.bin") == f"crc32:{zlib.crc32(b'other'):08x}"


def test_a_draft_that_is_sent_again_leaves_no_checksums_beside_the_record(monkeypatch):
    """On object storage, where it has no other way for the largest files."""
    monkeypatch.setattr(drafts, "LARGEST_COPY", 1)
    store = Store(Place("memory://unisid-sent-again"))
    address = Address("codes", "t", "1")
    out, target = drafts.begin(store, address, "f" * 64), store.place(address)
    write_json(out, "quality.json", {"distinct": 1.0})
    write_record(out, Record(address=str(address), config={}, inputs={}, files=out.sizes()))
    drafts.finish(out, target)
    assert verify(target).state == "whole"
    assert read_record(target).order == 1
    assert not (target / LEFT).exists()
    store.root.clear()
