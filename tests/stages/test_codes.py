"""The codes stage: unique for any clustering, W workers as one, its report, its refusals."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.figures import of_epochs
from tests.legends import without_words
from tests.lines import logged
from tests.references import assignment as twin
from unisid.artifacts.catalog import TRAIN, Catalog, write_interactions
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards, write_array
from unisid.artifacts.store import Place
from unisid.compute import Job, Pool
from unisid.config import from_record, to_record
from unisid.decoding import trie
from unisid.errors import ConfigError, DataError
from unisid.evaluation.index import Gate
from unisid.legend import COLLISIONS, RECONSTRUCTION
from unisid.ops.semantic_ids import parse, spell
from unisid.runtime.local import LocalCompute
from unisid.stages import codes as stage
from unisid.stages.codes import unique
from unisid.tokenizers import balanced, hkmeans, opq, read_tokenizer, rqkmeans, rqvae, write_tokenizer
from unisid.training.loop import Training

QUICK = Training(epochs=6, patience=6, validate_every=2, checkpoint_seconds=1e9)


def clusters(groups: int = 8, each: int = 25, width: int = 12, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    middle = random.normal(size=(groups, 1, width))
    return (middle + 0.2 * random.normal(size=(groups, each, width))).reshape(-1, width).astype(np.float32)


def inputs(place: Place, vectors: np.ndarray, num_items: int | None = None) -> dict[str, Place]:
    """A catalog in which user u bought the items of cluster u mod 8, and fused vectors."""
    num_items = len(vectors) if num_items is None else num_items
    catalog, fused = place / "catalog", place / "fused"
    item = np.arange(num_items)
    users = np.repeat(np.arange(16), len(item))
    items = np.tile(item, 16)
    bought = (items * 8 // max(1, num_items)) == users % 8
    user, item = users[bought], items[bought]
    write_interactions(catalog, user, item, np.arange(len(user)), np.full(len(user), TRAIN))
    write_record(catalog, Record(address="catalog/t/1", config={}, inputs={}, counts={"items": num_items, "users": 16}))
    write_array(fused, "vectors", {"vector": vectors, "text_only": np.zeros(len(vectors), bool)}, shard_rows=70)
    write_record(fused, Record(address="fused/t/1", config={}, inputs={}, counts={"width": vectors.shape[1]}))
    return {"catalog": catalog, "fused": fused}


def make(place: Place, config: stage.Config, vectors: np.ndarray, **more) -> Codes:
    job = Job(
        config=config,
        inputs=inputs(place, vectors, **more),
        out=place / "codes",
        name="codes-test",
        compute=LocalCompute(),
        report=lambda metrics: None,
    )
    with logged() as said:
        counts = stage.make(job)
    assert said
    write_record(job.out, Record(address="codes/t/1", config=to_record(config), inputs={}, counts=counts))
    return Codes.read(job.out)


def kmeans_config(levels: int = 3, size: int = 8, **more) -> stage.Config:
    return stage.Config(tokenizer=rqkmeans.Config(num_levels=levels, codebook_size=size, restarts=1), **more)


def vae_config(**more) -> stage.Config:
    tokenizer = rqvae.Config(num_levels=3, codebook_size=8, widths=(16, 8), restart_after=2)
    return stage.Config(tokenizer=tokenizer, batch_size=80, **({"training": QUICK} | more))


@pytest.mark.parametrize("config", [kmeans_config(), vae_config()], ids=["rqkmeans", "rqvae"])
def test_every_item_gets_its_own_semantic_id_and_the_report_says_how(place, config):
    codes = make(place, config, clusters())
    assert codes.codes.shape == (200, 3)
    assert len(np.unique(codes.codes, axis=0)) == 200
    assert codes.sizes == (8, 8, 8)
    report = json.loads((place / "codes").read("quality.json"))
    assert codes.record.counts["quality"] == report
    assert len(report["usage"]) == len(report["entropy"]) == 3
    assert 0 < report["distinct_share"] < 1
    assert report["moved_items"] > 0
    assert report["extra_distance"] >= 0
    assert report["reconstruction_error"] > 0
    assert report["cosine"]["within_2"] > report["cosine"]["across"]
    assert report["user_overlap"]["within_1"] > report["user_overlap"]["across"]


def test_vectors_may_be_scaled_as_a_whole(place):
    """Distances stay what they are but for one factor; constant vectors are left as they are."""
    vectors = clusters() * np.linspace(1, 3, 12, dtype=np.float32)
    vectors[:, 3] = 2.0
    config = kmeans_config(scale="whole")
    make(place, config, vectors)
    built = read_tokenizer(place / "codes")
    rows = torch.from_numpy(vectors)
    standard = built.standardise(rows).double()
    distances = torch.cdist(rows.double(), rows.double())
    assert torch.allclose(torch.cdist(standard, standard) * built.std[0], distances, atol=1e-4)
    assert standard.square().mean().item() == pytest.approx(1, rel=1e-4)
    assert built.std.unique().numel() == 1
    assert "scale" not in to_record(kmeans_config(), identity=True)
    assert to_record(config, identity=True)["scale"] == "whole"


@pytest.mark.parametrize("tokenizer", [balanced, hkmeans, opq], ids=lambda module: module.__name__.rpartition(".")[2])
def test_codewords_of_every_meaning_are_resolved_in_a_code_space_that_is_nearly_full(place, tokenizer):
    settings = {"num_levels": 3, "codebook_size": 6}  # 216 codes for 200 items
    codes = make(place, stage.Config(tokenizer=tokenizer.Config(**settings)), clusters())
    assert len(np.unique(codes.codes, axis=0)) == 200
    report = codes.record.counts["quality"]
    assert report["moved_items"] > 0
    assert 0 < report["moved_distance_before"] <= report["moved_distance_after"]
    built = read_tokenizer(place / "codes")
    nearest = built.encode(torch.from_numpy(clusters()))
    moved = (nearest.numpy() != codes.codes).any(1)
    assert moved.sum() == report["moved_items"]
    latents = built.latent(built.standardise(torch.from_numpy(clusters())))
    points = built.lookup(torch.from_numpy(codes.codes.copy()).long())
    assert float((latents - points)[moved].square().sum(1).mean()) == pytest.approx(
        report["moved_distance_after"], rel=1e-4
    )


def test_items_that_do_not_collide_keep_their_nearest_codes(place):
    codes = make(place, kmeans_config(3, 20), clusters())
    tokenizer = read_tokenizer(place / "codes")
    nearest = tokenizer.encode(torch.from_numpy(clusters())).numpy()
    tuples, counts = np.unique(nearest, axis=0, return_counts=True)
    crowded = {tuple(row) for row in tuples[counts > 1, :2].tolist()}
    assert crowded
    alone = np.array([tuple(row) not in crowded for row in nearest[:, :2].tolist()])
    assert alone.any()
    assert np.array_equal(codes.codes[alone], nearest[alone])
    assert np.array_equal(codes.codes[:, :2], nearest[:, :2])  # no prefix here is over-full


def test_colliding_items_are_resolved_at_the_least_total_distance(place):
    vectors = clusters(groups=6, each=4, width=2, seed=4)
    codes = make(place, kmeans_config(levels=2, size=6), vectors).codes
    tokenizer = read_tokenizer(place / "codes")
    latents = tokenizer.latent(tokenizer.standardise(torch.from_numpy(vectors)))
    resolved = 0
    for prefix in np.unique(codes[:, 0]):
        rows = np.flatnonzero(codes[:, 0] == prefix)
        residual = latents[rows] - tokenizer.codebooks[0][prefix]
        distances = torch.cdist(residual, tokenizer.codebooks[1]).square().numpy()
        total = distances[np.arange(len(rows)), codes[rows, 1]].sum()
        assert total == pytest.approx(twin.least_total(distances), abs=1e-4)
        resolved += len(set(distances.argmin(1))) < len(rows)
    assert resolved


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_unique_for_any_clustering(tmp_path_factory, data):
    """Arbitrary whole-number vectors, down to all identical ones, in code spaces down to exactly enough."""
    levels, size = data.draw(st.sampled_from([(1, 6), (2, 3), (3, 2), (3, 3)]))
    count = data.draw(st.one_of(st.just(size**levels), st.integers(1, size**levels)))
    few = data.draw(st.integers(1, 4))
    pool = data.draw(st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=2), min_size=few, max_size=few))
    picks = data.draw(st.lists(st.integers(0, few - 1), min_size=count, max_size=count))
    vectors = np.array(pool, np.float32)[picks]
    place = Place.of(tmp_path_factory.mktemp("any"))
    codes = make(place, kmeans_config(levels, size), vectors).codes
    assert len(np.unique(codes, axis=0)) == count
    assert codes.min() >= 0
    assert codes.max() < size


def test_an_over_full_prefix_sheds_its_farthest_items_to_the_nearest_with_room(place):
    """Eight points about one centroid with room for four: the four farthest go next door, first code and all."""
    tokenizer = rqkmeans.Config(num_levels=2, codebook_size=4)
    built = tokenizer.build(1)
    built.codebooks.copy_(torch.tensor([[[0.0], [10.0], [100.0], [-100.0]], [[-1.0], [0.0], [1.0], [2.0]]]))
    write_tokenizer(place, tokenizer, built)
    vectors = np.array([0.0, 0.5, -0.2, 1.5, 2.0, 0.1, 3.0, 4.0, 100.0], np.float32)[:, None]
    write_array(place, "vectors", {"vector": vectors})
    encoder = unique.Encoder(Shards(place, "vectors"), place, Pool())
    nearest = built.encode(torch.from_numpy(vectors)).int().numpy()
    assert nearest[:, 0].tolist() == [0] * 8 + [2]
    codes = unique.unique_codes(LocalCompute(), Pool(), place / "work", encoder, nearest, (4, 4))
    assert codes[:, 0].tolist() == [0, 0, 0, 1, 1, 0, 1, 1, 2]
    assert len(np.unique(codes, axis=0)) == 9
    assert codes[8].tolist() == nearest[8].tolist()


def test_part_size_does_not_change_the_codes(place, monkeypatch):
    vectors = np.repeat(clusters(4, 10), 3, axis=0)
    whole = make(place / "a", kmeans_config(3, 6), vectors).codes
    monkeypatch.setattr(unique, "PART_ROWS", 7)
    monkeypatch.setattr(stage, "PART_ROWS", 7)
    assert np.array_equal(make(place / "b", kmeans_config(3, 6), vectors).codes, whole)


def test_resolving_reports_how_far_it_is(place, monkeypatch):
    monkeypatch.setattr(unique, "PART_ROWS", 7)
    told: list[dict] = []
    vectors = np.repeat(clusters(4, 10), 3, axis=0)
    job = Job(
        config=kmeans_config(3, 6),
        inputs=inputs(place, vectors),
        out=place / "codes",
        name="codes-test",
        compute=LocalCompute(),
        report=told.append,
    )
    counts = stage.make(job)
    assert counts["quality"]["moved_items"] > 0
    assert max(report.get("resolving.parts_done", 0) for report in told) > 1


def test_append_counts_the_items_of_a_tuple(place):
    codes = make(place, kmeans_config(2, 4, unique="append"), clusters())
    assert codes.num_levels == 3
    assert codes.sizes[:2] == (4, 4)
    tokenizer = read_tokenizer(place / "codes")
    assert np.array_equal(codes.codes[:, :2], tokenizer.encode(torch.from_numpy(clusters())).numpy())
    for prefix in np.unique(codes.codes[:, :2], axis=0):
        last = codes.codes[(codes.codes[:, :2] == prefix).all(1), 2]
        assert last.tolist() == list(range(len(last)))
    assert codes.sizes[2] == max(4, codes.codes[:, 2].max() + 1)


def test_frozen_codebooks_encode_again_and_decode_near(place):
    vectors = clusters()
    codes = make(place, kmeans_config(3, 16), vectors)
    tokenizer = read_tokenizer(place / "codes")
    again = tokenizer.encode(torch.from_numpy(vectors))
    error = ((tokenizer.decode(again).numpy() - vectors) / vectors.std(0)) ** 2
    assert error.mean() == pytest.approx(codes.record.counts["quality"]["reconstruction_error"], rel=1e-3)
    np.testing.assert_allclose(tokenizer.mean, vectors.mean(0), atol=1e-6)
    np.testing.assert_allclose(tokenizer.std, vectors.std(0), rtol=1e-5)


@pytest.mark.parametrize("config", [kmeans_config(), vae_config()], ids=["rqkmeans", "rqvae"])
def test_the_same_settings_give_the_same_bytes(place, config):
    for name in "ab":
        make(place / name, config, clusters())
    for name in ("items-00000.parquet", "weights.safetensors", "tokenizer.json", "quality.json"):
        assert (place / "a" / "codes").read(name) == (place / "b" / "codes").read(name)


@pytest.mark.slow
def test_two_and_eight_workers_make_what_one_makes(place):
    """Codebooks, codes and report; dead codes restart and the last level is balanced on the way."""
    tokenizer = rqvae.Config(num_levels=3, codebook_size=8, widths=(16, 8), restart_after=2, sinkhorn_epsilon=0.05)
    curves = {}
    for workers in (1, 2, 8):
        config = stage.Config(tokenizer=tokenizer, batch_size=80, training=QUICK, pool=Pool(workers=workers))
        where, curve = place / str(workers), []
        job = Job(
            config=config,
            inputs=inputs(where, clusters()),
            out=where / "codes",
            name="codes",
            compute=LocalCompute(),
            report=curve.append,
        )
        stage.make(job)
        curves[workers] = of_epochs(curve)
    one, *several = (read_tokenizer(place / str(workers) / "codes").state_dict() for workers in curves)
    for many in several:
        for name, weight in one.items():
            torch.testing.assert_close(many[name], weight, atol=1e-4, rtol=1e-4, msg=name)
    alone, *together = curves.values()
    for a, *others in zip(alone, *together, strict=True):
        assert all(a["loss"] == pytest.approx(b["loss"], rel=1e-4) or a["epoch"] > 0 for b in others)
        assert all(a.get("valid_collisions") == b.get("valid_collisions") for b in others)
    assert len({(place / str(workers) / "codes").read("items-00000.parquet") for workers in curves}) == 1


def test_a_killed_fit_goes_on_where_it_was(place):
    """A fit of 3 epochs and then of 6, resumed, ends as one of 6."""

    class KilledError(Exception):
        pass

    def kill_at_third(metrics):
        if metrics["epoch"] == 3:
            raise KilledError

    training = dataclasses.replace(QUICK, checkpoint_seconds=0.0)
    config = vae_config(training=training)
    job = Job(
        config=config,
        inputs=inputs(place, clusters()),
        out=place / "codes",
        name="codes",
        compute=LocalCompute(),
        report=kill_at_third,
    )
    with pytest.raises(KilledError):
        stage.make(job)
    stage.make(dataclasses.replace(job, report=lambda metrics: None))
    make(place / "undisturbed", config, clusters())
    for name in ("weights.safetensors", "items-00000.parquet"):
        assert job.out.read(name) == (place / "undisturbed" / "codes").read(name)


def test_keep_decides_by_what_a_checkpoint_is_judged(place):
    scores, judged = {}, []
    training = dataclasses.replace(QUICK, epochs=80, patience=80, validate_every=5)
    for keep in ("collisions", "reconstruction"):
        curve = []
        config = vae_config(keep=keep, training=training)
        job = Job(
            config=config,
            inputs=inputs(place / keep, clusters()),
            out=place / keep / "codes",
            name="codes",
            compute=LocalCompute(),
            report=curve.append,
            judged_by=judged.append,
        )
        stage.make(job)
        scores[keep] = [m for m in curve if "valid_score" in m]
        assert without_words("codes", scores[keep]) == set()
    assert judged == [COLLISIONS, RECONSTRUCTION]
    for m in scores["reconstruction"]:
        assert m["valid_score"] == m["valid_reconstruction"]
    trained = [m for m in scores["collisions"] if m["valid_reconstruction"] < 0.9]
    untrained = [m for m in scores["collisions"] if m["valid_reconstruction"] >= 0.9]
    assert trained
    assert untrained
    for m in trained:
        assert m["valid_collisions"] <= m["valid_score"] < m["valid_collisions"] + 1 / 200
    for m in untrained:
        assert m["valid_score"] == 1 + m["valid_reconstruction"]


def test_global_batches_do_not_depend_on_workers(place):
    write_array(place, "vectors", {"vector": np.arange(50, dtype=np.float32)[:, None]})
    task = stage.Task(vae_config(), Shards(place, "vectors"), np.zeros(1), np.ones(1), place)

    class Alone:
        def __init__(self, rank, size):
            self.rank, self.size, self.device = rank, size, torch.device("cpu")

    def batches(rank, size):
        fitting = stage.Fitting(Alone(rank, size), rqvae.Config(widths=(2,)).build(1), task)
        return [batch.vectors for batch in fitting.batches(3)]

    whole, halves = batches(0, 1), (batches(0, 2), batches(1, 2))
    assert [len(b) for b in whole] == [80]
    for batch, left, right in zip(whole, *halves, strict=True):
        assert torch.equal(batch, torch.cat([left, right]))
    assert set(whole[0].reshape(-1).tolist()) == set(range(50))


def test_settings_survive_the_record():
    config = vae_config(gate=Gate(distinct=0.7), unique="append")
    assert from_record(stage.Config, to_record(config)) == config


def test_a_code_space_smaller_than_the_catalogue_is_refused_with_what_would_do(place):
    with pytest.raises(ConfigError, match=r"2 levels of 8 codes name 64 items.*200; num_levels=3 or codebook_size=15"):
        make(place, kmeans_config(2, 8), clusters())


@pytest.mark.parametrize("unique", ["assign", "append"])
def test_an_index_of_32_levels_is_made_looked_up_and_decoded(place, unique):
    """Random vectors, the last forty all equal: 256^32 ids do not fit any integer of a machine."""
    vectors = np.random.default_rng(0).normal(size=(640, 64)).astype(np.float32)
    vectors[-40:] = vectors[7]
    tokenizer = opq.Config(num_levels=32, codebook_size=256, rotations=0, restarts=1, iterations=4)
    codes = make(place, stage.Config(tokenizer=tokenizer, unique=unique), vectors)
    nearest = read_tokenizer(place / "codes").encode(torch.from_numpy(vectors)).numpy()
    report = codes.record.counts["quality"]
    assert report["largest_collision"] == 41
    assert len(report["usage"]) == 32
    assert len(report["cosine"]) == codes.num_levels  # across, and within each prefix
    assert codes.codes.dtype == np.int32
    assert codes.sizes == (256,) * (32 if unique == "assign" else 33)
    assert len(set(map(tuple, codes.codes.tolist()))) == 640
    moved = np.flatnonzero((codes.codes[:, :32] != nearest).any(1))
    assert set(moved.tolist()) <= {7, *range(600, 640)}
    assert len(moved) == (40 if unique == "assign" else 0)
    assert np.array_equal(codes.codes[:, :31], nearest[:, :31])
    for item in (0, 7, 639):
        row = tuple(codes.codes[item].tolist())
        assert codes.find(row).tolist() == [item]
        assert codes.find(parse(spell(row))).tolist() == [item]
    assert set(codes.find(tuple(nearest[7, :31])).tolist()) == {7, *range(600, 640)}
    built = trie.build(torch.from_numpy(codes.codes.copy()))
    nodes = torch.zeros(1, dtype=torch.long)
    for level, code in enumerate(codes.codes[639].tolist()):
        below = built.step(level, nodes)
        nodes = below.nodes[below.valid & (below.codes == code)]
    assert built.items[nodes].tolist() == [639]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused_by_item(place, value):
    vectors = clusters()
    vectors[[3, 150], 2] = value
    with pytest.raises(DataError, match=r"NaN or infinite values in the vectors of items 3, 150 \(2 of 200\)"):
        make(place, kmeans_config(), vectors)


def test_vectors_of_another_catalogue_are_refused(place):
    with pytest.raises(DataError, match="has 200 vectors, the catalog 190 items"):
        make(place, kmeans_config(), clusters(), num_items=190)


def test_the_gate_refuses_a_bad_index_and_says_why(place):
    gate = Gate(distinct=0.999, entropy=0.2)
    with pytest.raises(DataError, match=r"below its quality gate: distinct_share is 0\.\d+, the gate requires 0\.999"):
        make(place, kmeans_config(gate=gate), clusters())
    assert not (place / "codes").exists("items-00000.parquet")
    make(place / "low", kmeans_config(gate=Gate(distinct=0.1, usage=0.1, entropy=0.1)), clusters())


def test_batches_that_workers_cannot_share_equally_are_refused():
    with pytest.raises(ConfigError, match="batch_size 80 is not a multiple of 3 workers"):
        stage.Config(batch_size=80, pool=Pool(workers=3))


def test_one_item_is_a_catalogue(place):
    codes = make(place, kmeans_config(), clusters()[:1])
    assert codes.codes.tolist() == [[0, 0, 0]]
    assert codes.record.counts["quality"]["cosine"] == {"across": None, "within_1": None, "within_2": None}


@pytest.mark.parametrize("equal", ["items", "interactions"])
def test_the_start_of_a_tokenizer_weighs_items_by_their_training_interactions(place: Place, monkeypatch, equal):
    """Each item of the sample with its own count, whatever the order in which the sample is drawn."""
    seen = []
    monkeypatch.setattr(balanced.Balanced, "start_weighing", lambda self, *given: seen.append(given))
    vectors = clusters()
    make(place, stage.Config(tokenizer=balanced.Config(num_levels=3, codebook_size=8, equal=equal)), vectors)
    assert len(seen) == (equal == "interactions")
    for sample, taken, _ in seen:
        row_of = {row.tobytes(): number for number, row in enumerate(vectors)}
        drawn = [row_of[row.tobytes()] for row in sample.numpy()]
        bought = Catalog.read(place / "catalog").training_edges()[1]
        assert taken.tolist() == np.bincount(bought, minlength=len(vectors))[drawn].tolist()
