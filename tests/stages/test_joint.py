"""Tokenizer and recommender trained together: what comes of it, a killed fit goes on, bad inputs are refused."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.legends import without_words
from tests.stages import ring
from unisid.artifacts.baseline import write_baseline
from unisid.artifacts.codes import Codes
from unisid.artifacts.joint import Joint
from unisid.artifacts.model import Model
from unisid.artifacts.record import Record, read_record, write_record
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Place
from unisid.backbones import hierarchical
from unisid.backbones.tiger import Config as Tiger
from unisid.baselines import popularity, sasrec
from unisid.compute import Pool
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.joint import etegrec, unigrec
from unisid.legend import NDCG
from unisid.progress import HowFar
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import baseline, codes, joint, model, sequences
from unisid.stages.codes import emitted as emitted_codes
from unisid.stages.extension import Base
from unisid.stages.joint.current import Live, unique_now
from unisid.stages.joint.fits import check_planned
from unisid.stages.model import emitted as emitted_model
from unisid.tokenizers import read_tokenizer, rqvae, soft
from unisid.training.loop import Training

N, WIDTH = 40, 12
HERE = Pool(workers=0)
TIGER = Tiger(width=16, num_heads=2, head_width=8, feedforward_width=32, num_encoder_layers=1, num_decoder_layers=1)
TOKENIZER = soft.Config(num_levels=2, codebook_size=8, widths=(16, 8), anneal_steps=20)
CODES = codes.Config(
    tokenizer=TOKENIZER, unique="append", pool=HERE, training=Training(epochs=40, patience=40, validate_every=20)
)
RECOMMENDER = model.Config(
    backbone=TIGER,
    training=Training(epochs=3, learning_rate=3e-3, checkpoint_seconds=0.0),
    batch_size=64,
    samples_per_epoch=256,
    valid_samples=30,
    pool=HERE,
)
METHOD = unigrec.Config(tokenizer_rate=3e-3, warm_epochs=1)
CONFIG = joint.Config(method=METHOD, teacher=baseline.Config(), recommender=RECOMMENDER)


def write_fused(place: Place, count: int = N) -> Place:
    """Items beside one another on the ring are alike."""
    angle = 2 * np.pi * np.arange(count)[:, None] * np.arange(1, WIDTH // 2 + 1) / count
    vectors = np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)
    write_array(place, "vectors", {"vector": vectors, "text_only": np.zeros(count, bool)})
    ring.record(place, "fused", {"count": count}, {"width": WIDTH})
    return place


def write_teacher(place: Place, catalog: Place, kind=sasrec, **weights) -> Place:
    write_baseline(place, to_record(kind.Config()), {}, weights)
    config = {"baseline": to_record(kind.Config())}
    write_record(
        place,
        Record(address="baseline/ring/1", config=config, inputs=ring.entry(catalog, "catalog"), counts={}),
    )
    return place


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> dict[str, Place]:
    """All that the stage reads; both forms of the first index."""
    place = Place.of(tmp_path_factory.mktemp("together"))
    found = {
        "catalog": ring.write_catalog(place / "catalog", ring.walks(150, N), N),
        "fused": write_fused(place / "fused"),
    }
    counts = sequences.make(ring.job(sequences.Config(), found, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    for unique in ("append", "assign"):
        config, out = dataclasses.replace(CODES, unique=unique), place / unique
        counts = codes.make(ring.job(config, found, out, LocalCompute()))
        ring.record(out, "codes", to_record(config), counts)
    table = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
    write_teacher(place / "teacher", found["catalog"], **{"items.weight": table})
    return {
        **found,
        "sequences": place / "sequences",
        "codes.first": place / "append",
        "assign": place / "assign",
        "baseline.teacher": place / "teacher",
    }


def make(config, inputs, out, said=None, judged=None):
    counts = joint.make(ring.job(config, inputs, out, LocalCompute(), said, judged))
    ring.record(out, "joint", to_record(config, identity=True), counts)
    return counts


@pytest.fixture(scope="module")
def together(world, tmp_path_factory):
    out = Place.of(tmp_path_factory.mktemp("made") / "joint")
    return out, make(CONFIG, world, out)


@pytest.fixture(scope="module")
def pair(world, together, tmp_path_factory) -> dict[str, Place]:
    """The ordinary codes and the ordinary model that come of it."""
    place = Place.of(tmp_path_factory.mktemp("pair"))
    inputs = world | {"joint": together[0]}
    counts = emitted_codes.make(ring.job(CODES, inputs, place / "codes", LocalCompute()))
    ring.record(place / "codes", "codes", to_record(CODES), counts, ring.entry(together[0], "joint"))
    inputs |= {"codes": place / "codes"}
    counts = emitted_model.make(ring.job(RECOMMENDER, inputs, place / "model", LocalCompute()))
    ring.record(place / "model", "model", to_record(RECOMMENDER), counts, ring.entry(place / "codes", "codes"))
    return inputs | {"model": place / "model"}


def same_bytes(one: Place, other: Place) -> None:
    names = sorted(name for name in one.sizes() if name not in ("record.json", "curve.parquet", "curve.csv"))
    assert "model.safetensors" in names
    assert "weights.safetensors" in names
    for name in names:
        assert one.read(name) == other.read(name), name


def test_both_halves_learn_and_the_ids_stay_unique(world, together):
    out, counts = together
    found, first = Joint.read(out), Codes.read(world["codes.first"])
    assert found.sizes == first.sizes
    assert len(np.unique(found.codes, axis=0)) == N
    before, after = (read_tokenizer(place).state_dict() for place in (first.place, out))
    assert not torch.equal(before["codebooks"], after["codebooks"])
    assert counts["moved"]["changed_share"] == pytest.approx((found.codes != first.codes)[:, :2].any(1).mean())
    assert sum(counts["moved"]["by_number"]) == pytest.approx(1)
    assert 0 <= counts["soft_ndcg_10"] <= 1


def test_what_is_emitted_is_an_ordinary_index(world, together, pair):
    """The codes, the tokenizer that gives them, and both directions of lookup."""
    index = Codes.read(pair["codes"])
    assert np.array_equal(index.codes, Joint.read(together[0]).codes)
    live = Live(read_tokenizer(pair["codes"]), torch.from_numpy(vectors_of(world)))
    assert np.array_equal(unique_now(live, index.sizes, 2)[0], index.codes)
    assert index.find(tuple(index.codes[7])).tolist() == [7]
    assert index.record.counts["quality"]["changed_share"] == together[1]["moved"]["changed_share"]


def vectors_of(world) -> np.ndarray:
    from unisid.artifacts.fused import Fused

    return np.array(Fused.read(world["fused"]).vectors())


def test_what_is_emitted_is_an_ordinary_recommender(pair):
    """It loads with its own index, refuses the first one, and recommends."""
    Model.read(pair["model"], Codes.read(pair["codes"]))
    with pytest.raises(ArtifactError, match="load it with the index it was trained on"):
        Model.read(pair["model"], Codes.read(pair["codes.first"]))
    recommender = Recommender.load(pair["model"], pair["codes"], pair["catalog"])
    items, _ = recommender.rank([np.array([3, 4, 5])], N, exclude_history=False)
    assert sorted(items[0].tolist()) == list(range(N))


def test_the_recommender_may_go_on_by_itself(pair, place):
    """Stage 3: the codes stay, the weights do not, and validation begins with those that were taken over."""
    config = dataclasses.replace(RECOMMENDER, afterwards=Training(epochs=1, learning_rate=1e-3))
    said: list = []
    emitted_model.make(ring.job(config, pair, place / "further", LocalCompute(), said))
    assert [values["epoch"] for values in said if isinstance(values, dict)] == [0, 1]
    first = read_record(pair["model"]).counts["valid_ndcg_10"]
    assert next(v for v in said if isinstance(v, dict))["valid_score"] == pytest.approx(first)


def test_a_frozen_tokenizer_keeps_the_index(world, place, monkeypatch):
    monkeypatch.setattr("unisid.evaluation.validation.PROGRESS_SECONDS", -1.0)  # each batch of a validation is told
    method = dataclasses.replace(METHOD, tokenizer_rate=0.0)
    said: list = []
    judged: list = []
    counts = make(dataclasses.replace(CONFIG, method=method), world, place / "out", said, judged)
    assert judged == [NDCG]
    assert without_words("joint", said) == set()
    scores = [values["valid_score"] for values in said if "valid_score" in values]
    assert counts["best_epoch"] == 1 + scores.index(max(scores))
    [first, *_] = [HowFar.all_in(values)[0] for values in said if "validation.samples_done" in values]
    assert (first.title, first.done, first.total) == (
        "validation: samples",
        RECOMMENDER.valid_samples,
        RECOMMENDER.valid_samples,
    )
    assert np.array_equal(Joint.read(place / "out").codes, Codes.read(world["codes.first"]).codes)
    assert counts["moved"]["changed_share"] == 0
    first, last = (read_tokenizer(at).state_dict() for at in (world["codes.first"], place / "out"))
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_ids_that_are_assigned_stay_unique_too(world, place):
    inputs = world | {"codes.first": world["assign"]}
    make(CONFIG, inputs, place / "out")
    found = Joint.read(place / "out")
    assert found.sizes == (8, 8)
    assert len(np.unique(found.codes, axis=0)) == N


def test_a_fit_that_was_struck_goes_on_as_if_nothing_had_been(world, together, place):
    class StruckError(Exception):
        pass

    def strike(values):
        if values["epoch"] == 2:
            raise StruckError

    job = ring.job(CONFIG, world, place / "struck", LocalCompute())
    with pytest.raises(StruckError):
        joint.make(dataclasses.replace(job, report=strike))
    said: list = []
    make(CONFIG, world, place / "struck", said)
    assert [values["epoch"] for values in said if isinstance(values, dict)] == [3]
    same_bytes(together[0], place / "struck")


@pytest.mark.slow
def test_a_killed_process_is_gone_on_from(world, together, place):
    program = (
        "import json, os, signal, sys\n"
        "from dataclasses import replace\n"
        "from unisid.artifacts.store import Place\n"
        "from tests.stages.test_joint import CONFIG, LocalCompute, joint, ring\n"
        "places = {noun: Place(uri) for noun, uri in json.loads(sys.argv[1]).items()}\n"
        "job = ring.job(CONFIG, places, Place(sys.argv[2]), LocalCompute())\n"
        "kill = lambda values: os.kill(os.getpid(), signal.SIGKILL) if values['epoch'] == 2 else None\n"
        "joint.make(replace(job, report=kill))\n"
    )
    places = json.dumps({noun: at.uri for noun, at in world.items()})
    command = [sys.executable, "-c", program, places, (place / "killed").uri]
    died = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert died.returncode == -signal.SIGKILL
    make(CONFIG, world, place / "killed")
    same_bytes(together[0], place / "killed")


@pytest.mark.slow
def test_two_workers_share_the_work(world, place):
    config = dataclasses.replace(CONFIG, recommender=dataclasses.replace(RECOMMENDER, pool=Pool(workers=2)))
    said: list = []
    make(config, world, place / "two", said)
    assert [values["epoch"] for values in said if isinstance(values, dict)] == [1, 2, 3]
    assert len(np.unique(Joint.read(place / "two").codes, axis=0)) == N


# --- in turns ---


@pytest.fixture(scope="module")
def in_turns(world, tmp_path_factory):
    """The folders of one, two and three epochs of ETEGRec: the tokenizer's turn, the recommender's, the tokenizer's."""
    place = Place.of(tmp_path_factory.mktemp("turns"))
    tokenizer = rqvae.Config(num_levels=2, codebook_size=8, widths=(16, 8), restart_after=0)
    first = dataclasses.replace(CODES, tokenizer=tokenizer, training=Training(epochs=20, validate_every=20))
    counts = codes.make(ring.job(first, world, place / "codes", LocalCompute()))
    ring.record(place / "codes", "codes", to_record(first), counts)
    found = []
    for epochs in (1, 2, 3):
        training = Training(epochs=epochs, learning_rate=3e-3, schedule="constant", checkpoint_seconds=0.0)
        recommender = dataclasses.replace(RECOMMENDER, training=training)
        method = etegrec.Config(tokenizer_rate=3e-3, warm_epochs=0, alignment_weight=0.1, preference_weight=0.1)
        config = joint.Config(method=method, recommender=recommender)
        found.append(last_kept(config, world | {"codes.first": place / "codes"}, place / str(epochs)))
    return place / "codes", *found


def last_kept(config, inputs, out) -> Place:
    """Every validation counts as better, so that the last weights are those that are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unisid.training.loop._better", lambda score, best, higher: True)
        make(config, inputs, out)
    return out


def test_who_is_at_rest_stays_bit_for_bit_and_codes_with_the_tokenizer(in_turns):
    first, one, two, three = in_turns

    def same(a, b, name):
        return a.read(name) == b.read(name)

    assert not same(first, one, "weights.safetensors")
    assert same(one, two, "weights.safetensors")
    assert not same(two, three, "weights.safetensors")
    assert not same(one, two, "model.safetensors")
    assert same(two, three, "model.safetensors")
    assert np.array_equal(Joint.read(one).codes, Joint.read(two).codes)
    assert all(len(np.unique(Joint.read(place).codes, axis=0)) == N for place in (one, two, three))


# --- what cannot be ---


@pytest.mark.parametrize("name", ["first_temperature", "last_temperature"])
def test_a_temperature_of_0_is_refused(name):
    with pytest.raises(ConfigError, match=rf"soft.{name}: is 0.*; must be above 0"):
        soft.Config(**{name: 0.0})
    with pytest.raises(ConfigError, match=r"unigrec.contrast_temperature: is 0"):
        unigrec.Config(contrast_temperature=0.0)


def test_a_temperature_that_rises_is_refused():
    with pytest.raises(ConfigError, match=r"last_temperature 2.0 is above first_temperature 1.0; must be at most that"):
        soft.Config(last_temperature=2.0)


def test_a_method_that_is_taught_needs_a_teacher():
    with pytest.raises(ConfigError, match=r"'unigrec' distils a teacher, and there is none; give joint.teacher"):
        joint.Config()
    alone = unigrec.Config(tokenizer_distillation=0, recommender_distillation=0)
    assert joint.inputs(joint.Config(method=alone, recommender=RECOMMENDER)) == (
        "catalog",
        "fused",
        "codes.first",
        "sequences",
    )
    with pytest.raises(ConfigError, match="'popularity' learns no item vectors; must be a baseline that is trained"):
        joint.Config(teacher=baseline.Config(baseline=popularity.Config()))


def test_an_index_of_the_wrong_size_is_refused_before_anything_trains(world, place):
    other = write_fused(place / "fused", N + 3)
    with pytest.raises(ArtifactError, match=f"has codes for {N} items, .* has {N + 3} vectors, .* has {N} items"):
        make(CONFIG, world | {"fused": other}, place / "out")
    assert not (place / "out").exists(".work")


def test_an_index_without_its_tokenizer_s_levels_is_refused(world, place):
    first = Codes.read(world["codes.first"])
    for name in first.place.sizes():
        (place / "codes").write(name, first.place.read(name))
    counts = first.record.counts | {"sizes": [9, *first.sizes[1:]]}
    write_record(place / "codes", Record(address="codes/ring/1", config={}, inputs={}, counts=counts))
    with pytest.raises(
        ArtifactError, match=r"has levels of \[9, 8, .*\] codes, its tokenizer of \[8, 8\]; must be the same"
    ):
        make(CONFIG, world | {"codes.first": place / "codes"}, place / "out")


def test_a_teacher_of_another_catalogue_is_refused(world, place):
    catalog = ring.write_catalog(place / "other", ring.walks(10, N), N)
    ring.record(catalog, "catalog", {"history_length": 7}, {"items": N, "users": 10})
    teacher = write_teacher(place / "teacher", catalog, **{"items.weight": torch.zeros(N, 4)})
    config = dataclasses.replace(CONFIG, teacher=None, teacher_at=Base.of(teacher, "baseline"))
    message = (
        r"joint.teacher_at: baseline/ring/1 was trained on catalog/ring/1 \(.*\), this recipe's items are those of"
    )
    with pytest.raises(ArtifactError, match=message):
        make(config, world, place / "out")
    own = ring.entry(world["catalog"], "catalog")["catalog"]
    with pytest.raises(ArtifactError, match=message):
        check_planned(config, TOKENIZER, False, own)
    check_planned(
        dataclasses.replace(config, teacher_at=Base.of(world["baseline.teacher"], "baseline")), TOKENIZER, False, own
    )


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({}, ConfigError, "is a 'sasrec', which has no vector of each item"),
        ({"items.weight": torch.zeros(3, 4)}, ArtifactError, f"has vectors of 3 items, the catalog {N}"),
    ],
)
def test_a_teacher_without_a_vector_of_each_item_is_refused(world, place, weights, error, message):
    teacher = write_teacher(place / "teacher", world["catalog"], **weights)
    with pytest.raises(error, match=message):
        make(CONFIG, world | {"baseline.teacher": teacher}, place / "out")


@pytest.mark.parametrize(
    ("tokenizer", "recommender", "instructed", "message"),
    [
        (rqvae.Config(), RECOMMENDER, False, "codes.tokenizer: 'rqvae' cannot be trained by joint.method 'unigrec'"),
        (
            TOKENIZER,
            model.Config(backbone=hierarchical.Config()),
            False,
            "'hierarchical' cannot be trained",
        ),
        (TOKENIZER, RECOMMENDER, True, "leave one of them out"),
        (TOKENIZER, dataclasses.replace(RECOMMENDER, starts_from=Base(address="model/a/1")), False, "begins anew"),
    ],
)
def test_halves_that_cannot_be_trained_together_are_refused_in_a_plan(tokenizer, recommender, instructed, message):
    config = dataclasses.replace(CONFIG, recommender=recommender)
    with pytest.raises(ConfigError, match=message):
        check_planned(config, tokenizer, instructed, {"address": "catalog/a/1", "fingerprint": "f"})


def test_more_items_of_one_tuple_than_the_counting_level_has_codes_are_an_error(world):
    tokenizer = read_tokenizer(world["codes.first"])
    live = Live(tokenizer, torch.zeros(20, WIDTH))
    with pytest.raises(DataError, match="20 items share one tuple of codes, the level that counts them has 8"):
        unique_now(live, (8, 8, 8), 2)
    codes, moved = unique_now(live, (8, 8), 2)
    assert len(np.unique(codes, axis=0)) == 20
    assert moved.sum() == 19


def test_codes_of_another_training_are_refused(pair, place):
    with pytest.raises(ArtifactError, match="has other codes than"):
        emitted_model.make(ring.job(RECOMMENDER, pair | {"codes": pair["assign"]}, place / "out", LocalCompute()))
