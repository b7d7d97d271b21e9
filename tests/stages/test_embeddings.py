import dataclasses
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.encoders.models import WORDS, tiny_qwen3
from tests.references.embeddings import pool, states_one_by_one
from unisid import precision
from unisid.artifacts import tables
from unisid.artifacts.embeddings import FAMILY, Embeddings
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Job, Pool
from unisid.config import to_record
from unisid.encoders import hashing, join, transformer
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.ops.text import PLACEHOLDER
from unisid.runtime.local import LocalCompute
from unisid.stages import embeddings
from unisid.stages.embeddings import extend
from unisid.stages.extension import Base

HASHING = embeddings.Config(encoder=hashing.Config(width=16), shard_rows=8, max_tokens=6)


def texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(1, 10))) for _ in range(count)]


def write_catalog(place: Place, lines: list[str | None], rows_per_file: int = 20) -> Place:
    """Items over several files and row groups, as a large catalog has them."""
    for index, start in enumerate(range(0, len(lines), rows_per_file)):
        rows = range(start, min(start + rows_per_file, len(lines)))
        table = pa.table({"item_id": [f"i{n}" for n in rows], "text": pa.array([lines[n] for n in rows], pa.string())})
        write_table(place, "items", index, table, rows_per_group=7)
    counts = {"items": len(lines), "users": 0}
    write_record(place, Record(address="catalog/t/1", config={}, inputs={}, counts=counts, files=place.sizes()))
    return place


def job_of(catalog: Place, out: Place, config: embeddings.Config, compute=None, report=lambda values: None) -> Job:
    return Job(
        config=config,
        inputs={"catalog": catalog},
        out=out,
        name="t",
        compute=compute or LocalCompute(),
        report=report,
    )


def make(catalog: Place, out: Place, config: embeddings.Config, compute=None) -> Embeddings:
    counts = embeddings.make(job_of(catalog, out, config, compute))
    inputs: dict[str, dict[str, str]] = {}
    write_record(out, Record(address="embeddings/t/1", config={}, inputs=inputs, counts=counts, files=out.sizes()))
    return Embeddings.read(out)


class Watched(LocalCompute):
    """Notes which shards it was asked for."""

    def __init__(self) -> None:
        self.shards: list[int] = []

    def map(self, parts, *steps):
        self.shards += [part["shard"] for part in parts]
        return super().map(parts, *steps)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_states_and_vectors_equal_one_item_at_a_time(pooling, place, tmp_path):
    folder, lines = tiny_qwen3(tmp_path / "model"), texts(45)
    config = embeddings.Config(
        encoder=transformer.Config(model=str(folder)),
        shard_rows=16,
        max_tokens=7,
        pooling=pooling,
        normalise=False,
        batch_tokens=48,
    )
    made = make(write_catalog(place / "catalog", lines), place / "out", config)
    expected = states_one_by_one(folder, lines, 7)
    values, lengths = made.shards.read_ragged("states", np.arange(45))
    assert lengths.tolist() == [len(states) for states in expected]
    assert values.dtype == np.float16
    np.testing.assert_allclose(values, torch.cat(expected), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(made.pooled(), pool(expected, pooling), rtol=1e-4, atol=1e-5)
    assert made.width == 32
    assert made.record.counts["tokens"] == sum(map(len, expected))
    assert made.record.counts["truncated"] == sum(len(line.split()) > 6 for line in lines)


def test_last_token_vectors_have_length_one_unless_asked_otherwise(place):
    catalog = write_catalog(place / "catalog", texts(10))
    lengths = {}
    for pooling, normalise in [("mean", None), ("mean", True), ("last", None), ("last", False)]:
        config = dataclasses.replace(HASHING, pooling=pooling, normalise=normalise)
        vectors = make(catalog, place / f"{pooling}{normalise}", config).pooled()
        lengths[pooling, normalise] = bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6))
    assert lengths == {("mean", None): False, ("mean", True): True, ("last", None): True, ("last", False): False}


def test_pooled_only_keeps_the_same_vectors_and_no_states(place):
    catalog = write_catalog(place / "catalog", texts(20))
    whole = make(catalog, place / "whole", HASHING)
    small = make(catalog, place / "small", dataclasses.replace(HASHING, keep_states=False))
    np.testing.assert_array_equal(whole.pooled(), small.pooled())
    assert whole.has_states
    assert not small.has_states
    assert small.shards.tables[0].column_names == ["pooled"]


def test_rows_keep_their_order_whatever_the_shards(place):
    catalog = write_catalog(place / "catalog", texts(50))
    parts = {
        rows: make(catalog, place / f"s{rows}", dataclasses.replace(HASHING, shard_rows=rows))
        for rows in (1, 7, 50, 4096)
    }
    for made in parts.values():
        np.testing.assert_allclose(made.pooled(), parts[50].pooled(), atol=1e-6)
    assert len(parts[7].shards.tables) == 8


def test_the_files_of_a_catalog_are_looked_up_once(place, monkeypatch):
    """A part opens its own files: not the square of the files in all."""
    catalog, opened, real = write_catalog(place / "catalog", texts(50), rows_per_file=10), [], tables.open_table
    monkeypatch.setattr(tables, "open_table", lambda where, name: opened.append(name) or real(where, name))
    make(catalog, place / "out", dataclasses.replace(HASHING, shard_rows=10))
    assert [sum(name.startswith(f"items-{n:05}") for name in opened) for n in range(5)] == [2] * 5


def test_only_missing_shards_are_made_again_and_alike(place):
    catalog, compute = write_catalog(place / "catalog", texts(50)), Watched()
    undisturbed = make(catalog, place / "undisturbed", HASHING)

    def stop(values):
        if values["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embeddings.make(job_of(catalog, place / "stopped", HASHING, report=stop))
    resumed = make(catalog, place / "stopped", HASHING, compute)
    assert compute.shards == [3, 4, 5, 6]
    assert same_bytes(undisturbed, resumed)
    assert undisturbed.record.counts == resumed.record.counts
    assert embeddings.make(job_of(catalog, place / "stopped", HASHING, compute)) == resumed.record.counts
    assert compute.shards == [3, 4, 5, 6]


def test_a_killed_process_leaves_whole_shards_that_are_built_upon(place):
    catalog, compute = write_catalog(place / "catalog", texts(50)), Watched()
    program = (
        "import os, signal, sys\n"
        "from tests.stages.test_embeddings import HASHING, Place, embeddings, job_of\n"
        "kill = lambda values: os.kill(os.getpid(), signal.SIGKILL) if values['step'] == 2 else None\n"
        "embeddings.make(job_of(Place(sys.argv[1]), Place(sys.argv[2]), HASHING, report=kill))\n"
    )
    command = [sys.executable, "-c", program, str(place / "catalog"), str(place / "killed")]
    died = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert died.returncode == -signal.SIGKILL
    resumed = make(catalog, place / "killed", HASHING, compute)
    assert compute.shards == [2, 3, 4, 5, 6]
    assert same_bytes(make(catalog, place / "undisturbed", HASHING), resumed)


def peak_of(catalog: Place, out: Place) -> int:
    """The most memory that Python, numpy and Arrow held while a catalog was embedded, in bytes."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        embeddings.make(job_of(catalog, out, dataclasses.replace(HASHING, shard_rows=40)))
        return tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def test_memory_does_not_grow_with_the_catalogue(place):
    letters = 5000
    peaks = {}
    for count in (80, 1600):
        catalog = write_catalog(place / f"catalog-{count}", ["x" * letters] * count, rows_per_file=400)
        peaks[count] = peak_of(catalog, place / f"out-{count}")
    assert peaks[80] > 40 * letters, "what one shard reads is seen"
    assert peaks[1600] - peaks[80] < 0.1 * 1600 * letters


def same_bytes(one: Embeddings, other: Embeddings) -> bool:
    names = one.place.sizes().keys() - {"record.json"}
    assert names == other.place.sizes().keys() - {"record.json"}
    return all(one.place.read(name) == other.place.read(name) for name in names)


def test_empty_texts_are_read_as_the_placeholder_and_counted(place):
    lines = ["red table", "", None, "  ", "!?", PLACEHOLDER]
    made = make(write_catalog(place / "catalog", lines), place / "out", HASHING)
    assert made.record.counts["empty"] == 5
    vectors = made.pooled()
    for row in (1, 2, 3, 4):
        np.testing.assert_array_equal(vectors[row], vectors[5])


def test_padding_is_counted(place):
    lines = ["red"] * 5 + ["red blue green"]
    config = dataclasses.replace(HASHING, batch_tokens=1000)
    made = make(write_catalog(place / "catalog", lines), place / "out", config)
    assert made.record.counts["padding"] == round(1 - 8 / 18, 4)  # six rows of three slots each


@dataclass(frozen=True, kw_only=True)
class Broken(hashing.Config):
    """An encoder that gives one value wherever a certain token stands."""

    word: str = "lamp"
    value: float = float("nan")

    def build(self, device):
        encoder = super().build(device)
        encoder.vectors[self.tokenizer(1)([self.word]).ids[0]] = self.value
        return encoder


@pytest.mark.parametrize(
    ("value", "keep_states", "message"),
    [
        (float("nan"), True, r"states of 2 items \('i1', 'i3'\) are NaN or infinite; .* float32 or bfloat16"),
        (float("inf"), False, r"states of 2 items \('i1', 'i3'\) are NaN or infinite"),
        (
            70000.0,
            True,
            r"token states of 2 items \('i1', 'i3'\) reach 7e\+04, float16 keeps 65504; .*keep_states False",
        ),
    ],
)
def test_states_that_cannot_be_kept_are_named(value, keep_states, message, place):
    catalog = write_catalog(place / "catalog", ["red", "lamp", "blue", "old lamp"])
    config = dataclasses.replace(HASHING, encoder=Broken(value=value, mix=0), keep_states=keep_states)
    with pytest.raises(DataError, match=message):
        embeddings.make(job_of(catalog, place / "out", config))
    assert not (place / "out").sizes()


def test_large_vectors_are_no_matter_where_states_are_not_kept(place):
    catalog = write_catalog(place / "catalog", ["red", "lamp"])
    config = dataclasses.replace(HASHING, encoder=Broken(value=70000.0, mix=0), keep_states=False)
    assert make(catalog, place / "out", config).pooled().max() == 70000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "embeddings.max_tokens: is 0; must be at least 1"),
        ({"shard_rows": 0}, "embeddings.shard_rows: is 0; must be at least 1"),
        ({"batch_tokens": -1}, "embeddings.batch_tokens: is -1; must be at least 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(HASHING, **settings)


class Mute(hashing.Config):
    """An encoder whose vocabulary has no word."""

    def tokenizer(self, max_tokens):
        return lambda texts: join([[] for _ in texts], [False] * len(texts))


def test_an_encoder_without_a_word_is_refused(place):
    catalog = write_catalog(place / "catalog", ["red"])
    with pytest.raises(ConfigError, match="embeddings.encoder: its tokenizer makes no token of 'item without text'"):
        embeddings.make(job_of(catalog, place / "out", dataclasses.replace(HASHING, encoder=Mute())))


def test_a_catalog_without_items_is_refused(place):
    with pytest.raises(DataError, match="has no items"):
        embeddings.make(job_of(write_catalog(place / "catalog", []), place / "out", HASHING))


def test_a_missing_model_is_found_before_any_work(place):
    catalog, compute = write_catalog(place / "catalog", ["red"]), Watched()
    config = dataclasses.replace(HASHING, encoder=transformer.Config(model="./absent"))
    with pytest.raises(ConfigError, match="no such folder"):
        embeddings.make(job_of(catalog, place / "out", config, compute))
    assert compute.shards == []


def test_a_damaged_shard_says_what_to_do(place):
    catalog = write_catalog(place / "catalog", texts(20))
    embeddings.make(job_of(catalog, place / "out", HASHING))
    (place / "out").write("states-00001.arrow", b"half")
    with pytest.raises(ArtifactError, match=r"states-00001.arrow: is not a whole shard .*; delete this file and run"):
        embeddings.make(job_of(catalog, place / "out", HASHING))


def test_identity_is_what_decides_the_bytes(tmp_path):
    folder = tiny_qwen3(tmp_path / "model")
    config = embeddings.Config(encoder=transformer.Config(model=str(folder)))
    elsewhere = dataclasses.replace(config, pool=Pool(workers=4, gpus=1), tokenize=Pool(workers=2), batch_tokens=7)
    assert to_record(config, identity=True) == to_record(elsewhere, identity=True)
    assert embeddings.sources(config)["encoder"]["fingerprint"]
    assert embeddings.sources(HASHING) == {}
    assert to_record(config, identity=True) != to_record(dataclasses.replace(config, shard_rows=5), identity=True)


def processor(monkeypatch, has: bool) -> None:
    """Makes this machine's processor one that multiplies bfloat16, or not, and the tests' encoders wide enough."""
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: has)
    monkeypatch.setattr(precision, "CPU_WIDTH", 32)


def test_the_record_says_on_which_type_of_numbers_the_device_decided(place, tmp_path, monkeypatch):
    folder, catalog = str(tiny_qwen3(tmp_path / "model")), write_catalog(place / "catalog", texts(20))
    made = {}
    for has, dtype in ((True, "auto"), (False, "auto"), (True, "bfloat16"), (True, "float32")):
        processor(monkeypatch, has)
        config = embeddings.Config(encoder=transformer.Config(model=folder, dtype=dtype), shard_rows=8)
        made[has, dtype] = make(catalog, place / f"{has}{dtype}", config)
    said = {name: each.record.counts.get("dtype") for name, each in made.items()}
    assert list(said.values()) == ["bfloat16", "float32", None, None]
    vectors = {name: each.pooled() for name, each in made.items()}
    assert np.array_equal(vectors[True, "auto"], vectors[True, "bfloat16"])
    assert np.array_equal(vectors[False, "auto"], vectors[True, "float32"])
    assert not np.array_equal(vectors[True, "auto"], vectors[False, "auto"])


def test_new_items_are_computed_in_the_base_s_type_of_numbers_whatever_the_machine(place, tmp_path, monkeypatch):
    lines, folder = texts(24), str(tiny_qwen3(tmp_path / "model"))
    config = embeddings.Config(encoder=transformer.Config(model=folder, dtype="auto"), shard_rows=8)
    processor(monkeypatch, True)
    base = make(write_catalog(place / "catalog", lines[:16]), place / "base", config)
    whole = make(write_catalog(place / "larger", lines), place / "whole", config)
    processor(monkeypatch, False)
    further = dataclasses.replace(config, base=Base.of(base.place, "embeddings"))
    counts = extend.make(job_of(place / "larger", place / "further", further))
    assert counts["dtype"] == "bfloat16"
    found = Shards(place / "further", FAMILY).read("pooled", np.arange(24))
    assert np.array_equal(found, whole.pooled())


def test_what_the_devices_did_not_agree_on_or_was_set_is_not_taken_over():
    auto = embeddings.Config(encoder=transformer.Config(dtype="auto"))
    decided = ({}, {"dtype": "float32"}, {"dtype": "bfloat16, float32"})
    assert [embeddings.as_made(auto, counts).encoder.dtype for counts in decided] == ["auto", "float32", "auto"]
    assert embeddings.as_made(HASHING, {"items": 3}) == HASHING
