import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.legends import without_words
from tests.lines import logged
from tests.references import ranking as slow
from tests.stages import ring
from unisid.artifacts.baseline import Baseline
from unisid.artifacts.catalog import TEST, TRAIN, VALID, Catalog
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_weights
from unisid.baselines import Histories, itemknn, sasrec
from unisid.baselines.parts.learned import PAD
from unisid.compute import Pool
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.runtime.local import LocalCompute
from unisid.stages import baseline
from unisid.stages.baseline.training import NextItem, Sequences
from unisid.training.loop import Training

N = 24
CONFIG = baseline.Config(
    baseline=sasrec.Config(width=16, num_layers=1, num_heads=1, feedforward_width=16, dropout=0.2),
    training=Training(epochs=4, learning_rate=1e-2, schedule="constant", checkpoint_seconds=0.0),
    batch_size=32,
    valid_samples=100,
    resamples=50,
)
STILL = dataclasses.replace(CONFIG, baseline=dataclasses.replace(CONFIG.baseline, dropout=0.0))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    return {"catalog": ring.write_catalog(place / "catalog", ring.walks(300, N), N)}


def make(config, inputs, out, said=None):
    counts = baseline.make(ring.job(config, inputs, out, LocalCompute(), said))
    ring.record(out, "baseline", to_record(config), counts, ring.entry(inputs["catalog"], "catalog"))
    return counts


def curve(said):
    """What training reported, epoch by epoch."""
    return [values for values in said if isinstance(values, dict) and "epoch" in values]


def weights(out):
    return read_weights(out, "baseline.safetensors")


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    out = Place.of(tmp_path_factory.mktemp("trained") / "baseline")
    said: list = []
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, epochs=25, patience=25))
    return out, make(config, inputs, out, said), said


def test_what_is_written_agrees_with_the_weights(trained, inputs):
    out, counts, _ = trained
    artifact, catalog = Baseline.read(out), Catalog.read(inputs["catalog"])
    loaded = baseline.load(out, inputs)
    rows = catalog.samples(TEST)
    ranks = artifact.ranks()
    assert ranks["user"].to_pylist() == catalog.user[rows].tolist()
    scores = loaded.scores(Histories.of(catalog.history(rows), catalog.user[rows])).tolist()
    expected = [slow.rank_of_target(s, t) for s, t in zip(scores, catalog.item[rows].tolist(), strict=True)]
    np.testing.assert_allclose(ranks["allowed"].to_numpy(), expected)
    cell = artifact.results()["sasrec"]["allowed"]["NDCG@5"]
    assert cell["mean"] == pytest.approx(slow.ndcg(expected, 5))
    assert cell["low"] <= cell["mean"] <= cell["high"]
    assert artifact.method == "sasrec"
    assert counts["cutoffs"] == [1, 3, 5, 10, 20]
    assert counts["samples"] == len(rows)
    assert artifact.chosen() == loaded.chosen == counts["chosen"]["sasrec"]
    assert artifact.weights().keys() == loaded.state_dict().keys()
    assert artifact.settings()["kind"] == "sasrec"


def test_it_learns_the_way_along_the_ring(trained):
    """Which of the two paces a walk has shows in its history alone."""
    _, counts, said = trained
    assert without_words("baseline", curve(said)) == set()
    assert counts["means"]["sasrec"]["excluded"]["NDCG@10"] > 0.8
    reports = curve(said)
    assert reports[-1]["loss"] < reports[0]["loss"] / 2
    scores = [values["valid_score"] for values in reports]
    assert counts["valid_ndcg_10"] == max(scores)
    assert counts["best_epoch"] == scores.index(max(scores)) + 1


def test_the_validation_score_is_that_of_the_excluded_rule(trained, inputs):
    """Ranked one by one with the user's past struck out, the kept weights score what was reported."""
    out, counts, _ = trained
    catalog, loaded = Catalog.read(inputs["catalog"]), baseline.load(out, inputs)
    drawn = np.sort(np.random.default_rng(42).permutation(catalog.samples(VALID))[:100])
    values = []
    for row in drawn:
        (past, _), target = catalog.past(np.array([row])), int(catalog.item[row])
        scores = loaded.scores(Histories.of(catalog.history(np.array([row]))))[0].tolist()
        masked = [-math.inf if item in past else score for item, score in enumerate(scores)]
        values.append(slow.ndcg([slow.rank_of_target(masked, target)], 10))
    assert counts["valid_ndcg_10"] == pytest.approx(np.mean(values), abs=1e-6)


def test_a_sample_of_the_targets_has_the_ranks_that_it_has_among_all(inputs, place):
    catalog = Catalog.read(inputs["catalog"])
    where = np.searchsorted(catalog.samples(TEST), catalog.samples(TEST, 17))
    for name, kind in (("learned", CONFIG.baseline), ("counted", itemknn.Config())):
        whole, some = (dataclasses.replace(CONFIG, baseline=kind, test_samples=number) for number in (0, 17))
        make(whole, inputs, place / name / "whole")
        assert make(some, inputs, place / name / "some")["samples"] == 17
        ranks = [Baseline.read(place / name / which).ranks() for which in ("whole", "some")]
        assert ranks[1].equals(ranks[0].take(where))


def test_making_again_writes_the_same_bytes(inputs, place):
    for name in ("one", "two"):
        baseline.make(ring.job(CONFIG, inputs, place / name, LocalCompute()))
    files = [
        {file: (place / name).read(file) for file in (place / name).sizes() if ".work" not in file}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def test_a_killed_fit_goes_on_as_if_nothing_had_been(inputs, place):
    make(CONFIG, inputs, place / "undisturbed")

    class StruckError(Exception):
        pass

    def strike(values):
        if values.get("epoch") == 2:
            raise StruckError

    job = ring.job(CONFIG, inputs, place / "struck", LocalCompute())
    with pytest.raises(StruckError):
        baseline.make(dataclasses.replace(job, report=strike))
    said: list = []
    make(CONFIG, inputs, place / "struck", said)
    assert [values["epoch"] for values in curve(said)] == [3, 4]
    for name, tensor in weights(place / "undisturbed").items():
        assert torch.equal(tensor, weights(place / "struck")[name]), name


@pytest.mark.slow
def test_two_workers_equal_one(inputs, place):
    """The curve and the scores; of the weights, attention's key bias is moved by rounding alone."""
    curves, scores = [], []
    for workers in (1, 2):
        said: list = []
        make(dataclasses.replace(STILL, pool=Pool(workers=workers)), inputs, place / str(workers), said)
        curves.append([(v["loss"], v["valid_score"]) for v in curve(said)])
        loaded = baseline.load(place / str(workers), inputs)
        scores.append(loaded.scores(Histories(np.arange(12), np.array([3, 4, 5]))))
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)
    torch.testing.assert_close(scores[1], scores[0], atol=1e-3, rtol=1e-3)


def test_one_without_weights_is_ranked_too(inputs, place):
    counts = make(dataclasses.replace(CONFIG, baseline=itemknn.Config()), inputs, place / "baseline")
    assert counts["chosen"]["itemknn"]["decay"] in itemknn.Config().decays
    artifact = Baseline.read(place / "baseline")
    assert artifact.weights() == {}
    assert artifact.ranks().num_rows == counts["samples"]


@pytest.mark.parametrize("most", [1, 3, 7, 50])
def test_every_item_but_the_first_is_a_target_once(inputs, most):
    catalog = Catalog.read(inputs["catalog"])
    sequences = Sequences.of(catalog)
    of, starts, lengths = sequences.cut(most, np.random.default_rng(0))
    assert lengths.min() >= 2
    assert lengths.max() <= most + 1
    asked = [
        (sequences.users[user], target)
        for user, start, length in zip(of, starts, lengths, strict=True)
        for target in range(start + 1, start + length)
    ]
    rows = np.flatnonzero(catalog.split == TRAIN)
    user = catalog.user[rows]
    expected = [(user[n], n) for n in range(1, len(rows)) if user[n] == user[n - 1]]
    assert sorted(asked) == expected


def test_long_sequences_are_cut_anew_every_epoch(inputs):
    sequences = Sequences.of(Catalog.read(inputs["catalog"]))
    drawn = {tuple(sequences.cut(4, np.random.default_rng(seed))[1]) for seed in range(5)}
    assert len(drawn) > 1


class Alone:
    rank, size, device = 0, 1, torch.device("cpu")


def test_windows_are_users_training_items_in_order(inputs):
    catalog = Catalog.read(inputs["catalog"])
    model = STILL.baseline.build(catalog)
    for windows in NextItem(Alone(), model, catalog, 32, 100, 1).batches(0):
        assert windows.items.shape[1] == (windows.items != PAD).sum(1).max()
        for user, items in zip(windows.users.tolist(), windows.items.tolist(), strict=True):
            taken = catalog.item[(catalog.user == user) & (catalog.split == TRAIN)].tolist()
            real = [item for item in items if item != PAD]
            assert any(taken[n : n + len(real)] == real for n in range(len(taken)))
            assert items == real + [PAD] * (len(items) - len(real))


def test_refuses_a_catalog_without_order(place):
    catalog = ring.write_catalog(place / "catalog", [[0, 1, 2], [3, 4, 5]], N)
    with pytest.raises(DataError, match="no user with two training interactions among 2"):
        make(CONFIG, {"catalog": catalog}, place / "baseline")


def test_refuses_a_catalog_without_validation(place):
    catalog = ring.write_catalog(place / "catalog", [[0, 1, 2]], N, [[TRAIN, TRAIN, TEST]])
    with pytest.raises(DataError, match="no validation samples, which say when to stop"):
        make(CONFIG, {"catalog": catalog}, place / "baseline")


def test_refuses_a_catalog_without_test_samples(place):
    catalog = ring.write_catalog(place / "catalog", [[0, 1, 2]], N, [[TRAIN, TRAIN, VALID]])
    with pytest.raises(DataError, match="has no test samples"):
        make(CONFIG, {"catalog": catalog}, place / "baseline")


def test_refuses_what_is_not_complete(place):
    with pytest.raises(ArtifactError):
        Baseline.read(place / "nothing")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "baseline.batch_size: is 0; must be at least 1"),
        ({"batch_size": 1, "pool": Pool(workers=2)}, "batch_size 1 for 2 workers"),
        ({"cutoffs": (0,)}, "baseline.cutoffs: is 0; must be at least 1"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        baseline.Config(**settings)


def test_refuses_a_cutoff_past_the_catalogue(inputs, place):
    with pytest.raises(ConfigError, match="baseline.cutoffs: 30 is more than the catalogue's 24 items"):
        make(dataclasses.replace(CONFIG, cutoffs=(30,)), inputs, place / "baseline")


def test_a_choice_that_rests_on_few_samples_is_said(place):
    catalog = ring.write_catalog(place / "catalog", ring.walks(40, N), N)
    counts = {"items": N, "users": 40, "valid": 10, "taken_before": {"valid": 9}}
    ring.record(catalog, "catalog", {"history_length": ring.HISTORY}, counts)
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, epochs=1))
    with logged() as lines:
        make(config, {"catalog": catalog}, place / "out")
    assert "9 of 10 valid targets" in next(line for line in lines if "warning" in line)
