import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from tests.backbones.models import index_of
from tests.baselines.catalogs import random_baskets, write_catalog
from tests.lines import logged
from tests.references import ranking as slow
from tests.stages import ring
from unisid.artifacts.catalog import TEST, TRAIN, VALID, Catalog
from unisid.artifacts.codes import Codes, write_codes
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.model import write_model
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.tables import read_table, table_names, write_table
from unisid.artifacts.weights import read_json, read_weights, write_weights
from unisid.backbones import tiger
from unisid.baselines import itemknn
from unisid.compute import Job
from unisid.config import plug_in, to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.evaluation.groups import taken_by
from unisid.evaluation.ranks import summarise
from unisid.ops.by_user import Users
from unisid.ops.ranking import metric_values
from unisid.report import facts
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages import baseline, metrics

N = 24


@dataclass(frozen=True)
class Scripted:
    """A recommender of known scores: each item's distance to the history's last one, so that many are equal."""

    batch_size: int = 1

    def rank(self, histories, k, exclude_history, beam_width=None, allowed=None):
        assert allowed is None
        scores = np.stack([score_all(h) for h in histories])
        if exclude_history:
            for row, history in zip(scores, histories, strict=True):
                row[history] = -np.inf
        items = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, items, axis=1)
        return np.where(np.isfinite(scores), items, -1), scores


def score_all(history):
    return -np.abs(np.arange(N) - history[-1]).astype(np.float32)


@pytest.fixture
def job(place):
    """Of a leave-one-out catalog of 30 users."""
    return job_of(place, write_catalog(place / "catalog", random_baskets(30, N, seed=5), N, history_length=3))


def job_of(place, catalog):
    """The inputs of a metrics stage beside a catalog: real artifacts, with a tiny untrained model."""
    inputs = {noun: place / noun for noun in metrics.inputs(metrics.Config()) if noun != "baseline"}
    sizes = (5, 5)
    write_codes(inputs["codes"], np.stack([np.arange(N) // 5, np.arange(N) % 5], 1), sizes)
    given = {"catalog": {"address": "catalog/small/1", "fingerprint": catalog.record.fingerprint}}
    codes_record = Record(address="codes/small/1", config={}, inputs=given, counts={"sizes": list(sizes)})
    write_record(inputs["codes"], codes_record)
    rows = catalog.samples(TEST)
    items, lengths = catalog.history(rows)
    histories = np.split(items, np.cumsum(lengths)[:-1])
    columns = {"user": catalog.user[rows], "history": [h.tolist() for h in histories], "target": catalog.item[rows]}
    write_table(inputs["sequences"], "test", 0, pa.table(columns))
    write_record(inputs["sequences"], Record(address="sequences/small/1", config={}, inputs={}))
    settings = tiger.Config(
        width=8, num_heads=1, head_width=8, feedforward_width=8, num_encoder_layers=1, num_decoder_layers=1
    )
    write_model(inputs["model"], to_record(settings), settings.build(index_of(sizes)).state_dict())
    spoken = {"codes": {"address": "codes/small/1", "fingerprint": codes_record.fingerprint}}
    write_record(inputs["model"], Record(address="model/small/1", config={}, inputs=spoken))
    config = metrics.Config(cutoffs=(1, 3, 5), beam=8, resamples=50)
    return Job(
        config=config,
        inputs=inputs,
        out=place / "metrics",
        name="small",
        compute=LocalCompute(),
        report=lambda values: None,
    )


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(Recommender, "load", lambda *places: Scripted())


def read_ranks(job, method):
    table = Metrics(job.out, Record(address="metrics/small/1", config={}, inputs={})).ranks(method)
    return {name: table[name].to_numpy() for name in ("excluded", "allowed")}


def samples_of(job):
    """All that each test user took before, and the target."""
    catalog = Catalog.read(job.inputs["catalog"])
    rows = catalog.samples(TEST)
    items, lengths = catalog.past(rows)
    assert lengths.max() > catalog.history_length
    pasts = [past.tolist() for past in np.split(items, np.cumsum(lengths)[:-1])]
    return list(zip(pasts, catalog.item[rows].tolist(), strict=True))


@pytest.mark.parametrize("rows_per_part", [7, 1000])
def test_both_rules_rank_as_over_all_items(job, scripted, rows_per_part):
    """Excluded is all that the user took before, however little of it the model reads; ties count half."""
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, rows_per_part=rows_per_part, beam=20))
    metrics.make(job)
    got = read_ranks(job, "tiger")
    for row, (history, target) in enumerate(samples_of(job)):
        scores = score_all(history).tolist()
        masked = [-math.inf if i in history else s for i, s in enumerate(scores)]
        for rule, values in (("allowed", scores), ("excluded", masked)):
            top = np.argsort(-np.array(values), kind="stable")[:20].tolist()
            tied = [i for i in range(N) if values[i] == values[target]]
            if target not in top or values[target] == -math.inf:
                assert np.isnan(got[rule][row])
            elif set(tied) <= set(top):  # the list cuts no tie
                assert got[rule][row] == slow.rank_of_target(values, target)


def test_a_target_beyond_the_list_has_no_rank(job, scripted):
    metrics.make(job)
    ranks = read_ranks(job, "tiger")["allowed"]
    assert np.isnan(ranks).any()
    assert np.nanmax(ranks) <= 8


def test_what_is_written_agrees(job, scripted):
    counts = metrics.make(job)
    assert counts["targets_taken_before"] == sum(target in past for past, target in samples_of(job))
    results, comparisons = read_json(job.out, "metrics.json"), read_json(job.out, "comparisons.json")
    assert set(results) == {"tiger", "popularity", "itemknn"}
    assert counts["samples"] == 30
    assert counts["cutoffs"] == [1, 3, 5]
    for method in results:
        for rule, ranks in read_ranks(job, method).items():
            cell = results[method][rule]["NDCG@5"]
            assert cell["mean"] == pytest.approx(slow.ndcg(ranks.tolist(), 5))
            assert cell["low"] <= cell["mean"] <= cell["high"]
    test = comparisons["itemknn"]["allowed"]["HR@5"]
    assert test["difference"] == pytest.approx(
        results["tiger"]["allowed"]["HR@5"]["mean"] - results["itemknn"]["allowed"]["HR@5"]["mean"]
    )
    assert test["low"] <= test["difference"] <= test["high"]
    assert set(comparisons["itemknn"]["allowed"]["thesis, over cut-offs"]) == {"HR", "NDCG"}
    assert counts["chosen"]["itemknn"]["decay"] in itemknn.Config().decays


def figures_of(job):
    """The intervals and paired tests that were written, and the same of the written ranks, a user for every sample."""
    results, comparisons = (read_json(job.out, f"{name}.json") for name in ("metrics", "comparisons"))
    single, tiger = Users.single(read_table(job.out, "ranks-tiger").num_rows), read_ranks(job, "tiger")
    again = {method: summarise(read_ranks(job, method), single, (1, 3, 5), 50, 42) for method in results}
    tests = {each: metrics.compare(tiger, read_ranks(job, each), single, (1, 3, 5), job.config) for each in comparisons}
    return (results, comparisons), (again, tests)


def test_of_one_target_a_user_every_sample_is_drawn(job, scripted):
    metrics.make(job)
    found, by_sample = figures_of(job)
    assert found == by_sample


def test_of_many_targets_a_user_users_are_drawn(place, scripted):
    """Some stay where they are, others go to and fro: tests are those of so few users, all of whose hits are alike."""
    walks = [[*range(user, user + 3), *[user, user + 12 * (user % 3 > 0)] * 10] for user in range(12)]
    where = ring.write_catalog(place / "catalog", walks, N, [[TRAIN] * 2 + [VALID] + [TEST] * 20] * 12)
    job = job_of(place, Catalog.read(where))
    metrics.make(job)
    (_, comparisons), (_, by_sample) = figures_of(job)
    catalog = Catalog.read(where)
    rows = catalog.samples(TEST)
    assert len(rows) == 240
    apart = [metric_values(read_ranks(job, method)["allowed"], (5,))[:, 0] for method in ("tiger", "popularity")]
    sums = np.bincount(catalog.user[rows], apart[0] - apart[1])
    test = comparisons["popularity"]["allowed"]["HR@5"]
    assert test["p"] == pytest.approx(stats.ttest_1samp(sums, 0, alternative="greater").pvalue)
    naive = by_sample["popularity"]["allowed"]["HR@5"]
    assert test["high"] - test["low"] > 2 * (naive["high"] - naive["low"])


def test_a_sample_of_the_targets_has_the_ranks_that_it_has_among_all(job, scripted):
    metrics.make(job)
    whole = Metrics(job.out, Record(address="metrics/small/1", config={}, inputs={}))
    config = dataclasses.replace(job.config, test_samples=11, rows_per_part=4)
    some = dataclasses.replace(job, config=config, out=job.out.parent / "some")
    counts = metrics.make(some)
    drawn = Metrics(some.out, Record(address="metrics/small/2", config={"test_samples": 11}, inputs={}))
    catalog = Catalog.read(job.inputs["catalog"])
    all_rows, rows = catalog.samples(TEST), catalog.samples(TEST, drawn.test_samples)
    assert counts["samples"] == len(rows) == 11
    assert counts["groups"]["excluded"]["all"]["samples"] == 11
    where = np.searchsorted(all_rows, rows)
    for method in whole.results():
        assert drawn.ranks(method).equals(whole.ranks(method).take(where))
    assert (drawn.listed() == whole.listed()[where]).all()


def test_figures_by_group_stand_beside_the_means(job, scripted):
    counts = metrics.make(job)
    groups = read_json(job.out, "groups.json")
    results = read_json(job.out, "metrics.json")
    assert set(groups) == set(results)
    for method, by_rule in groups.items():
        for rule, found in by_rule.items():
            assert found["all"]["samples"] == 30
            assert found["all"]["NDCG@5"] == pytest.approx(results[method][rule]["NDCG@5"]["mean"])
            assert found["all"]["MRR@5"] == pytest.approx(results[method][rule]["MRR@5"]["mean"])
            thirds = [each["samples"] for name, each in found.items() if "third" in name or name == "cold items"]
            assert sum(thirds) == 30
    assert counts["groups"] == groups.pop("tiger")
    assert counts["baseline_groups"] == groups
    for method, by_rule in results.items():
        for rule, found in by_rule.items():
            assert list(found) == sorted(f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in (1, 3, 5))
            assert counts["means"][method][rule] == {n: found[n]["mean"] for n in ("HR@5", "NDCG@5", "MRR@5")}
    test = read_json(job.out, "comparisons.json")["itemknn"]["excluded"]["MRR@3"]
    differences = results["tiger"]["excluded"]["MRR@3"]["mean"] - results["itemknn"]["excluded"]["MRR@3"]["mean"]
    assert test["low"] <= test["difference"] <= test["high"]
    assert test["difference"] == pytest.approx(differences)


@pytest.mark.parametrize("rows_per_part", [7, 1000])
def test_the_first_items_are_kept_and_described(job, scripted, rows_per_part):
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, rows_per_part=rows_per_part))
    counts = metrics.make(job)
    listed = Metrics(job.out, Record(address="metrics/small/1", config={}, inputs={})).listed()
    samples = samples_of(job)
    assert listed.shape == (len(samples), 5)
    for row, (past, _) in zip(listed.tolist(), samples, strict=True):
        scores = score_all(past).copy()
        scores[past] = -np.inf
        assert row == np.argsort(-scores, kind="stable")[:5].tolist()
    assert counts["lists"]["coverage"] == len(np.unique(listed)) / N
    assert counts["lists"].keys() == {"coverage", "gini", "novelty", "likeness"}
    assert counts["baseline_lists"].keys() == {"popularity", "itemknn"}


def test_the_lists_of_baselines_are_described_as_the_recommenders(job, scripted):
    """By hand for popularity; the trained baseline's are those that it would have if it were fitted here."""
    found = metrics.make(job)["baseline_lists"]
    catalog = Catalog.read(job.inputs["catalog"])
    taken = taken_by(catalog)
    order = np.argsort(-taken, kind="stable")
    listed = [[item for item in order if item not in past][:5] for past, _ in samples_of(job)]
    assert found["popularity"]["coverage"] == len(np.unique(listed)) / N
    assert found["popularity"]["novelty"] == pytest.approx(
        -np.log2((taken[listed] + 1) / (catalog.num_users + 1)).mean()
    )
    assert found["itemknn"] != found["popularity"]
    trained = with_baseline(dataclasses.replace(job, out=job.out / "again"))
    assert metrics.make(trained)["baseline_lists"] == found
    own = require(trained.inputs["baseline"], "baseline")
    assert own.counts["lists"] == found["popularity"]
    [lists] = table_names(trained.inputs["baseline"], "listed")  # none were written once
    trained.inputs["baseline"].remove(lists)
    write_record(trained.inputs["baseline"], dataclasses.replace(own, files={}, sums={}))
    assert metrics.make(trained)["baseline_lists"].keys() == {"itemknn"}


def test_making_again_writes_the_same_bytes(job, scripted):
    files = [(metrics.make(job), {name: job.out.read(name) for name in job.out.sizes()}) for _ in range(2)]
    assert files[0] == files[1]


def test_it_reports_how_many_samples_are_ranked_and_how_fast(job, scripted):
    figures = []
    with logged() as lines:
        counts = metrics.make(dataclasses.replace(job, report=figures.append))
    for method in (job.config.method, *job.config.baselines):
        done = f"{method}.samples_done"
        assert [f[done] for f in figures if done in f][-1] == counts["samples"]
        assert all(f[f"{method}.samples_per_second"] > 0 for f in figures if done in f)
    of_the_model = f"{job.config.method}: {counts['samples']} of {counts['samples']} samples, "
    assert any(of_the_model in line for line in lines)
    for method in job.config.baselines:
        assert any(line.startswith(f"{method}: ranked") for line in lines)


class Backwards(LocalCompute):
    """Hands tables back in another order than their parts', as a cluster may."""

    def map(self, parts, *steps):
        return reversed(list(super().map(parts, *steps)))


def test_the_order_in_which_parts_come_back_means_nothing(job, scripted):
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, rows_per_part=7))
    files = []
    for compute in (LocalCompute(), Backwards()):
        metrics.make(dataclasses.replace(job, compute=compute))
        files.append({name: job.out.read(name) for name in job.out.sizes()})
    assert files[0] == files[1]


def test_with_a_real_backbone_whose_list_holds_every_item(job):
    """With the beam as wide as the catalogue every target is ranked, as the recommender itself ranks it."""
    config = dataclasses.replace(job.config, beam=N, baselines=(), batch_size=4, rows_per_part=11)
    counts = metrics.make(dataclasses.replace(job, config=config))
    assert counts["targets_listed"] == counts["samples"]
    recommender = Recommender.load(job.inputs["model"], job.inputs["codes"], job.inputs["catalog"])
    got = read_ranks(job, "tiger")
    for row, (history, target) in enumerate(samples_of(job)):
        if target not in history:
            items, _ = recommender.rank([np.array(history)], N, exclude_history=True)  # which reads its end only
            assert abs(got["excluded"][row] - 1 - items[0].tolist().index(target)) <= 1


def test_refuses_a_model_of_another_index(job):
    codes = Codes.read(job.inputs["codes"])
    write_record(job.inputs["codes"], dataclasses.replace(codes.record, config={"seed": 1}))
    with pytest.raises(ArtifactError, match=r"was trained on the codes codes/small/1 .* load it with the index"):
        metrics.make(job)


def test_refuses_a_cutoff_past_the_catalogue(job):
    job = dataclasses.replace(job, config=metrics.Config(cutoffs=(5, 30)))
    with pytest.raises(ConfigError, match=r"metrics.cutoffs: 30 is more than the catalogue's 24 items; .* at most 24"):
        metrics.make(job)


def test_refuses_to_measure_nothing(job, scripted, monkeypatch):
    monkeypatch.setattr(Catalog, "samples", lambda self, split: np.array([], np.int64))
    stored = metrics.Sequences.read(job.inputs["sequences"]).table("test")
    write_table(job.inputs["sequences"], "test", 0, stored[:0])
    with pytest.raises(DataError, match="has no test samples"):
        metrics.make(job)


def test_refuses_sequences_of_another_catalog(job, scripted):
    fewer = metrics.Sequences.read(job.inputs["sequences"]).table("test")[:-1]
    write_table(job.inputs["sequences"], "test", 0, fewer)
    with pytest.raises(ArtifactError, match=r"its 29 test samples are not the 30 of the catalog .* one recipe"):
        metrics.make(job)


def with_baseline(job, kind="popularity", drop=0, test_samples=0):
    """The job of a recipe whose baseline is of this kind; it ranked the test samples drawn but the last so many."""
    place = job.out / "rival"
    made = baseline.Config(
        baseline=plug_in("baselines", kind)(), cutoffs=(1, 3, 5), resamples=50, test_samples=test_samples
    )
    counts = baseline.make(ring.job(made, {"catalog": job.inputs["catalog"]}, place, LocalCompute()))
    if drop:
        write_table(place, f"ranks-{kind}", 0, read_table(place, f"ranks-{kind}")[:-drop])
    write_record(place, Record(address="baseline/small/1", config=to_record(made), inputs={}, counts=counts))
    config = dataclasses.replace(job.config, baselines=("itemknn",))
    return dataclasses.replace(job, config=config, inputs={**job.inputs, "baseline": place})


def test_the_recipes_own_baseline_stands_beside_the_others(job, scripted):
    """Its figures are those of its artifact, and those it has where `metrics` fits it."""
    metrics.make(job)
    fitted_here = read_json(job.out, "metrics.json")["popularity"]
    compared = read_json(job.out, "comparisons.json")["popularity"]
    job = with_baseline(dataclasses.replace(job, out=job.out / "again"))
    metrics.make(job)
    assert read_json(job.out, "metrics.json")["popularity"] == fitted_here
    assert read_json(job.inputs["baseline"], "metrics.json") == {"popularity": fitted_here}
    assert read_json(job.out, "comparisons.json")["popularity"] == compared
    write_record(
        job.out,
        Record(
            address="metrics/small/1",
            config=to_record(job.config),
            inputs={},
            counts={"cutoffs": [1, 3, 5], "samples": 30},
        ),
    )
    assert facts.results({"metrics": job.out}).methods == ["tiger", "itemknn", "popularity"]


def test_refuses_a_baseline_whose_name_is_taken(job, scripted):
    with pytest.raises(ConfigError, match="'itemknn' and the recipe's baseline 'itemknn' are not distinct"):
        metrics.make(with_baseline(job, "itemknn"))


def test_refuses_a_baseline_of_other_samples(job, scripted):
    with pytest.raises(ArtifactError, match="ranked other samples than the 30 of the catalog"):
        metrics.make(with_baseline(job, drop=1))


@pytest.mark.parametrize("drawn", [7, 20])
def test_the_recipes_own_baseline_may_have_ranked_more_of_the_samples(job, scripted, drawn):
    job = with_baseline(dataclasses.replace(job, config=dataclasses.replace(job.config, test_samples=7)), "popularity")
    metrics.make(job)
    alone = Metrics(job.out, Record(address="metrics/small/1", config={}, inputs={})).ranks("popularity")
    fewer = with_baseline(dataclasses.replace(job, out=job.out.parent / "fewer"), test_samples=drawn)
    metrics.make(fewer)
    found = Metrics(fewer.out, Record(address="metrics/small/1", config={}, inputs={})).ranks("popularity")
    assert found.num_rows == 7
    assert found.equals(alone)


def test_refuses_a_baseline_that_ranked_fewer_of_the_samples(job, scripted):
    """The recipe says so before anything is made (tests/test_pipeline.py)."""
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, test_samples=20))
    with pytest.raises(ArtifactError, match="ranked other samples than the 20 of the catalog"):
        metrics.make(with_baseline(job, test_samples=7))


@pytest.mark.parametrize("number", [0, 1, 7, 29, 30, 31])
def test_a_smaller_draw_of_samples_lies_within_a_larger(job, number):
    catalog = Catalog.read(job.inputs["catalog"])
    found, all_rows = catalog.samples(TEST, number), catalog.samples(TEST)
    assert len(found) == (min(number, 30) or 30)
    assert (np.diff(found) > 0).all()
    assert np.isin(found, catalog.samples(TEST, 2 * number) if number else all_rows).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoffs": (10, 100)}, "metrics.beam: 50 is smaller than the largest cut-off 100"),
        ({"beam": 49}, "metrics.beam: 49 is smaller than the largest of the standard cut-offs, 50; .*metrics.cutoffs"),
        ({"cutoffs": (0,)}, "metrics.cutoffs: is 0; must be at least 1"),
        ({"beam": 0}, "metrics.beam: is 0; must be at least 1"),
        ({"baselines": ("itemkn",)}, "baselines: no kind 'itemkn'; did you mean 'itemknn'"),
        ({"method": "popularity"}, "metrics.method: 'popularity' reads like the baseline"),
        ({"baselines": ("sasrec",)}, r"'sasrec' takes training, .* baseline=baseline.Config\(baseline=sasrec.Config"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        metrics.Config(**settings)


@pytest.mark.parametrize("repeated", [True, False])
def test_targets_that_nearly_all_repeat_the_history_are_said(job, scripted, repeated):
    baskets = [[u % N, (u + 5) % N, (u + 9) % N, u % N if repeated else (u + 1) % N] for u in range(30)]
    catalog = write_catalog(job.inputs["catalog"], baskets, N, history_length=3)
    rows = catalog.samples(TEST)
    columns = {"user": catalog.user[rows], "history": [b[:3] for b in baskets], "target": catalog.item[rows]}
    write_table(job.inputs["sequences"], "test", 0, pa.table(columns))
    with logged() as words:
        counts = metrics.make(job)
    assert counts["targets_taken_before"] == (30 if repeated else 0)
    warned = [line for line in words if line.startswith("warning: 30 of 30 test targets are items that the user took")]
    assert len(warned) == int(repeated)


def test_a_model_of_nan_is_no_row_of_the_table(job):
    """Its targets would count as misses, silently."""
    model = job.inputs["model"]
    sound = read_weights(model, "model.safetensors")
    broken = {name: torch.full_like(weight, torch.nan) for name, weight in sound.items()}
    record = require(model, "model")
    write_weights(model, "model.safetensors", broken)
    write_record(model, dataclasses.replace(record, files={}, sums={}))
    with pytest.raises(ArtifactError, match="probabilities that are NaN or 0: its weights are damaged"):
        metrics.make(job)


def test_what_its_baselines_read_is_read():
    """Related items have alike vectors among their relations."""
    plain = metrics.inputs(metrics.Config())
    assert plain == ("catalog", "codes", "sequences", "model", "baseline")
    assert metrics.inputs(metrics.Config(baselines=("popularity", "related"))) == (*plain, "embeddings")
