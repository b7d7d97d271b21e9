"""Vectors of texts that are encoded beside the fusion are those of two stages, and only a sample keeps its states."""

import dataclasses
import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.encoders.models import WORDS, tiny_bert
from unisid import precision
from unisid.artifacts.catalog import TRAIN, write_interactions
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import Fused
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards, write_array
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Job, Pool
from unisid.config import flatten, leaves, to_record
from unisid.encoders import hashing, transformer
from unisid.errors import ArtifactError, ConfigError
from unisid.fusion import concat, uqf
from unisid.ops.seeded import sampled
from unisid.runtime.local import LocalCompute
from unisid.stages import embeddings, fused
from unisid.stages.fused.inline import settings, touched
from unisid.stages.fused.neighbours import SEMANTIC, STRUCTURE
from unisid.training.loop import Training

ITEMS, SAMPLE = 96, 40
TWO_STAGES = fused.Config(
    fusion=uqf.Config(num_queries=3, width=8, output_width=8, num_layers=1, num_heads=2),
    num_neighbours=6,
    training=Training(epochs=2, learning_rate=1e-2),
    batch_size=16,
    learn_from=SAMPLE,
    write_batch=16,
)
INLINE = dataclasses.replace(TWO_STAGES, learn_from=0, inline=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> dict[str, Place]:
    """A catalogue of texts and a graph of it; a transformer, whose states depend on what is encoded beside a text."""
    place, rng = Place.of(tmp_path_factory.mktemp("shop")), np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(ITEMS)]
    write_table(place / "catalog", "items", 0, pa.table({"item_id": [f"i{n}" for n in range(ITEMS)], "text": texts}))
    user, item = np.repeat(np.arange(60), 8), rng.integers(0, ITEMS, 480)
    write_interactions(place / "catalog", user, item, np.arange(480), np.full(480, TRAIN))
    finish(place / "catalog", "catalog", {"items": ITEMS, "users": 60})
    degree = np.bincount(item, minlength=ITEMS).astype(np.int32)
    layers = rng.standard_normal((ITEMS, 2, 4)).astype(np.float32)
    write_array(place / "graph", "items", {"layers": layers, "degree": degree})
    finish(place / "graph", "graph", {"layers": 2, "width": 4})
    encoder = transformer.Config(model=str(tiny_bert(tmp_path_factory.mktemp("bert"))))
    for name, kept in (("all", 0), ("sample", SAMPLE)):
        embed(place / "catalog", place / name, embeddings.Config(encoder=encoder, shard_rows=20, states_of=kept))
    return {name: place / name for name in ("catalog", "graph", "all", "sample")}


def finish(place: Place, noun: str, counts: dict, config: object = None, inputs: dict | None = None) -> None:
    """Write the record, with all settings, as a run does."""
    identity = to_record(config, identity=True) if config else {}
    how = {key: value for key, value in leaves(config) if key not in flatten(identity)} if config else {}
    record = Record(address=f"{noun}/t/1", config=identity, inputs=inputs or {}, counts=counts, files=place.sizes())
    write_record(place, dataclasses.replace(record, runtime=how))


def job(config, inputs: dict[str, Place], out: Place, compute=None) -> Job:
    how = compute or LocalCompute()
    return Job(config=config, inputs=inputs, out=out, name="t", compute=how, report=lambda metrics: None)


def embed(catalog: Place, out: Place, config: embeddings.Config) -> None:
    counts = embeddings.make(job(config, {"catalog": catalog}, out))
    finish(out, "embeddings", counts, config, embeddings.sources(config))


def fuse(shop: dict[str, Place], held: str, out: Place, config: fused.Config, compute=None) -> Fused:
    inputs = {"catalog": shop["catalog"], "graph": shop["graph"], "embeddings": shop[held]}
    finish(out, "fused", fused.make(job(config, inputs, out, compute)))
    return Fused.read(out)


@pytest.fixture(scope="module")
def two_stages(shop, tmp_path_factory) -> Fused:
    return fuse(shop, "all", Place.of(tmp_path_factory.mktemp("two")), TWO_STAGES)


def test_vectors_are_those_of_two_stages_bit_for_bit(shop, two_stages, place, monkeypatch):
    """Parts of 32 items cut groups of 20 in two."""
    monkeypatch.setattr(fused, "ROWS", 32)
    inline = fuse(shop, "sample", place, INLINE)
    assert len(inline.shards.tables) == 3
    np.testing.assert_array_equal(inline.vectors(), two_stages.vectors())
    np.testing.assert_array_equal(inline.text_only(), two_stages.text_only())
    assert inline.record.counts["epochs"] == two_stages.record.counts["epochs"] == 2


@pytest.mark.slow
def test_on_ray_data_the_vectors_are_the_same(shop, two_stages, place, ray_compute):
    inline = fuse(shop, "sample", place, INLINE, ray_compute)
    np.testing.assert_array_equal(inline.vectors(), two_stages.vectors())


def test_only_the_sample_keeps_its_states(shop):
    whole, some = (Embeddings.read(shop[name]) for name in ("all", "sample"))
    drawn = sampled(0, ITEMS, ITEMS, SAMPLE)
    kept = [some.shards.read_ragged("states", np.array([item])) for item in range(ITEMS)]
    assert [bool(lengths[0]) for _, lengths in kept] == drawn.tolist()
    for item in np.flatnonzero(drawn):
        np.testing.assert_array_equal(kept[item][0], whole.shards.read_ragged("states", np.array([item]))[0])
    np.testing.assert_array_equal(some.pooled(), whole.pooled())


def test_neighbours_are_sought_within_the_sample(shop, two_stages):
    tables = [Shards(two_stages.place, family).read("neighbours") for family in (SEMANTIC, STRUCTURE)]
    number = int(sampled(0, ITEMS, ITEMS, SAMPLE).sum())
    assert [len(table) for table in tables] == [number, number]
    assert max(table.max() for table in tables) < number


def test_structure_of_a_sample_is_that_of_its_interactions(shop, place):
    """Steps: transitions among the sample's items alone, the same as of a catalogue that has no others."""
    for relation in ("users", "steps"):
        config = dataclasses.replace(TWO_STAGES, structure=relation)
        made = fuse(shop, "all", place / relation, config)
        found = Shards(made.place, STRUCTURE).read("neighbours")
        assert not (found == np.arange(len(found))[:, None]).any()


def test_what_does_not_go_together_is_refused(shop, place):
    with pytest.raises(ConfigError, match="about 40 items alone, and a vector needs those of every item; set"):
        fuse(shop, "sample", place / "a", dataclasses.replace(INLINE, inline=False))
    with pytest.raises(ConfigError, match=r"fused.inline: is True, and this fusion reads text vectors alone"):
        fuse(shop, "sample", place / "b", dataclasses.replace(INLINE, fusion=concat.Config()))
    with pytest.raises(ConfigError, match=r"fused.learn_from: is 40, and 'concat' does not learn"):
        fuse(shop, "all", place / "c", dataclasses.replace(TWO_STAGES, fusion=concat.Config()))
    with pytest.raises(ConfigError, match=r"a sample of about 1 items has [01], of which neighbours"):
        fuse(shop, "all", place / "d", dataclasses.replace(TWO_STAGES, learn_from=1))


def test_embeddings_without_states_or_of_another_encoder_are_refused(shop, place, tmp_path_factory):
    toy = hashing.Config(width=16)
    embed(shop["catalog"], place / "pooled", embeddings.Config(encoder=toy, keep_states=False))
    with pytest.raises(ArtifactError, match="keeps no token states to learn from"):
        fuse(shop | {"pooled": place / "pooled"}, "pooled", place / "a", INLINE)
    folder = tmp_path_factory.mktemp("moved")
    encoder = transformer.Config(model=str(tiny_bert(folder)))
    embed(shop["catalog"], place / "old", embeddings.Config(encoder=encoder, states_of=SAMPLE))
    tiny_bert(folder, seed=1)
    with pytest.raises(ArtifactError, match="give the encoder back, or make the embeddings anew"):
        fuse(shop | {"old": place / "old"}, "old", place / "b", INLINE)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.data())
def test_groups_touched_cover_the_part_and_no_more(sizes, data):
    starts = np.concatenate([[0], np.cumsum(sizes)])
    start = data.draw(st.integers(0, int(starts[-1]) - 1))
    stop = data.draw(st.integers(start + 1, int(starts[-1])))
    groups = touched(starts, start, stop)
    assert [group for group in groups if group[0] < stop and group[1] > start] == groups
    assert groups[0][0] <= start < groups[0][1]
    assert groups[-1][0] < stop <= groups[-1][1]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(groups))


@given(st.integers(2, 3000), st.integers(1, 3000), st.integers(1, 3000))
def test_a_smaller_sample_lies_in_a_larger_and_parts_in_the_whole(total, one, other):
    small, large = (sampled(0, total, total, about) for about in sorted((one, other)))
    assert not (small & ~large).any()
    cut = total // 2
    parts = [sampled(0, cut, total, one), sampled(cut, total, total, one)]
    np.testing.assert_array_equal(np.concatenate(parts), sampled(0, total, total, one))


def test_a_sample_is_about_as_large_as_asked():
    assert abs(sampled(0, 100_000, 100_000, 20_000).sum() - 20_000) < 4 * (100_000 * 0.2 * 0.8) ** 0.5
    assert sampled(0, 5, 5, 0).all()


@pytest.mark.parametrize("has", [True, False])
def test_states_are_computed_in_the_type_of_numbers_of_the_embeddings(has, shop, place, tmp_path, monkeypatch):
    """That a device decided on, and not as this one would."""
    encoder = transformer.Config(model=str(tiny_bert(tmp_path)), dtype="auto")
    monkeypatch.setattr(precision, "CPU_WIDTH", 32)
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: has)
    embed(shop["catalog"], place / "own", embeddings.Config(encoder=encoder))
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: not has)
    found = settings({"catalog": shop["catalog"], "embeddings": place / "own"}, Pool())
    assert found.encoder.dtype == ("bfloat16" if has else "float32")


def test_how_it_is_written_bears_no_identity():
    assert to_record(INLINE, identity=True) == to_record(dataclasses.replace(INLINE, inline=False), identity=True)
    assert "states_of" not in to_record(embeddings.Config(), identity=True)
    assert "learn_from" not in to_record(fused.Config(), identity=True)
