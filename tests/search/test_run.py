"""Whole searches in this process: what is found, resumed, registered and refused."""

import collections
import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.search.quick_search import launch, made, quick, search
from unisid import pipeline
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ConfigError, DataError, DriftError
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import InTurn
from unisid.search.definition import Search
from unisid.search.space import parse
from unisid.trials.telling import NullExperimentTracker


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """What all searches here share."""
    place = Place.of(tmp_path_factory.mktemp("begun"))
    pipeline.run(quick(), Store(place), LocalCompute(), pipeline.NullTracker(), "fused")
    return place


@pytest.fixture
def started(begun, tmp_path):
    """A store in which everything up to the fused vectors is there."""
    shutil.copytree(begun.uri, tmp_path / "started")
    return Place.of(tmp_path / "started")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two fusions, two codebooks, two seeds: eight trials, one after the other."""
    place = Place.of(tmp_path_factory.mktemp("store"))
    words = ["fused.fusion=concat,single", "codes.tokenizer.codebook_size=6,8"]
    found, said = launch(search(words, seeds=(1, 2)), place)
    return place, found, said, words


def test_every_trial_is_complete_and_what_is_equal_was_made_once(ran):
    place, found, said, _ = ran
    assert [outcome.state for outcome in found] == ["complete"] * 8
    addresses = [Address.parse(a) for a in made(place)]
    counts = collections.Counter(a.noun for a in addresses)
    assert counts == {"catalog": 1, "embeddings": 1, "graph": 1, "fused": 4, "codes": 8}
    assert {str(a) for a in addresses if a.noun == "graph"} == {"graph/quick/1"}
    assert all(a.name.startswith("quick-trial-") for a in addresses if a.noun == "codes")
    assert any("shared by some trials: 4 times fused" in line for line in said)


def test_the_measures_are_those_of_the_codes(ran):
    place, found, _, _ = ran
    codes = read_record(Store(place).place(Address("codes", f"quick-trial-{found[0].id}", "1")))
    quality = codes.counts["quality"]
    values = found[0].values
    assert values["distinct"] == quality["distinct_share"]
    assert values["entropy"] == pytest.approx(sum(quality["entropy"]) / 3)
    within, across = (quality["user_overlap"][name] for name in ("within_1", "across"))
    assert values["collaborative"] == pytest.approx((within - across) / (within + across))
    assert values["index"] == pytest.approx(
        sum(values[name] for name in ("distinct", "entropy", "collaborative", "semantic")) / 4
    )
    assert "ndcg" not in values


def test_the_table_lies_beside_the_plots(ran):
    place, found, said, _ = ran
    folder = Path(place.uri) / "searches" / "quick-fusion-codebook_size"
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    assert [float(row["index"]) for row in rows] == [outcome.values["index"] for outcome in found]
    assert [row["fused.fusion"] for row in rows] == ["concat"] * 4 + ["single"] * 4
    assert [row["seed"] for row in rows] == ["1", "2"] * 4
    assert {p.name for p in folder.iterdir() if p.suffix == ".png"} == {"heat-map.png", "sensitivity.png"}
    assert (folder / "heat-map.png").read_bytes().startswith(b"\x89PNG")
    table = (folder / "table.txt").read_text()
    assert table.strip() in "\n".join(said)
    by_seed = zip(found[::2], found[1::2], strict=True)
    best = max(by_seed, key=lambda pair: pair[0].values["index"] + pair[1].values["index"])[0]
    words = " ".join(f"--{key} {value}" for key, value in best.settings.items())
    assert f"best by index: {words}" in "\n".join(said).splitlines()


def test_going_on_with_a_finished_search_makes_nothing(ran):
    place, found, _, words = ran
    before = made(place)
    again, said = launch(search(words, seeds=(1, 2)), place, resume=True)
    assert made(place) == before
    assert again == found
    assert "8 of them over already" in said[0]


def test_a_search_that_was_begun_is_not_begun_twice(ran):
    place, _, _, words = ran
    with pytest.raises(ConfigError, match="was begun before, 8 of its trials are over; go on with --resume"):
        launch(search(words, seeds=(1, 2)), place)
    with pytest.raises(ConfigError, match=r"is defined otherwise \(objectives: index -> entropy\).*--called"):
        launch(search(words, seeds=(1, 2), objectives=("entropy",)), place, resume=True)


def test_another_search_shares_what_this_one_made(ran):
    place, found, _, words = ran
    more = [words[0].replace("concat,", ""), "codes.tokenizer.codebook_size=8,10"]
    before = made(place)
    again, _ = launch(search(more, seeds=(1,), called="more"), place)
    new = [Address.parse(a).noun for a in made(place).keys() - before.keys()]
    assert new == ["codes"]
    assert again[0].values == next(o for o in found if o.id == again[0].id).values


def test_a_changed_recipe_is_drift_before_anything_runs(ran):
    place, _, _, words = ran
    other = replace(quick(), codes=replace(quick().codes, unique="append"))
    with pytest.raises(DriftError, match=r"codes/quick-trial-\w+/1: was made from other settings"):
        launch(Search(recipe=other, space=parse(words), seeds=(1, 2), called="other"), place)
    assert not (Path(place.uri) / "searches" / "other").exists()


class Interrupted(InTurn):
    """Breaks off when so many trials are over."""

    def __init__(self, after):
        self.after = after

    def run(self, pieces, work, share, on_event, asha=None):
        def listen(number, kind, more):
            on_event(number, kind, more)
            if kind == "done" and number + 1 == self.after:
                raise KeyboardInterrupt

        super().run(pieces, work, share, listen, asha)


def test_an_interrupted_search_goes_on_where_it_was(started):
    words = ["codes.tokenizer.codebook_size=6,7,8"]
    with pytest.raises(KeyboardInterrupt):
        launch(search(words), started, Interrupted(after=2))
    before = made(started)
    assert sum("codes/" in address for address in before) == 2
    found, said = launch(search(words), started, resume=True)
    assert "2 of them over already" in said[0]
    assert [outcome.state for outcome in found] == ["complete"] * 3
    assert {address: when for address, when in made(started).items() if address in before} == before


def test_a_trial_that_was_complete_when_the_driver_died_is_only_judged(started):
    words = ["codes.tokenizer.codebook_size=6,8"]
    found, _ = launch(search(words), started)
    for file in (Path(started.uri) / "searches" / "quick-codebook_size").glob("trial-*.json"):
        file.unlink()

    class Never(InTurn):
        def run(self, *args, **more):
            raise AssertionError("there is nothing to run")

    assert launch(search(words), started, Never(), resume=True)[0] == found


def test_a_trial_that_fails_is_named_and_tried_again(started):
    words = ["codes.gate.distinct=0,1"]
    with pytest.raises(DataError, match=r"(?s)1 of 2 trials failed.*distinct 1.0: .*below its quality gate"):
        launch(search(words), started)
    table = (Path(started.uri) / "searches" / "quick-distinct" / "table.txt").read_text()
    assert "failed" in table
    tried = []

    class Counting(InTurn):
        def run(self, pieces, *args, **more):
            tried.extend(pieces)
            super().run(pieces, *args, **more)

    with pytest.raises(DataError, match="1 of 2 trials failed"):
        launch(search(words), started, Counting(), resume=True)
    assert len(tried) == 1


def test_a_code_space_that_is_too_small_is_refused_before_any_trial(started):
    with pytest.raises(ConfigError, match="3 levels of 2 codes name 8 items"):
        launch(search(["codes.tokenizer.codebook_size=2,8"]), started)
    assert not any("codes/" in address for address in made(started))


def test_a_damaged_outcome_says_what_to_do(started):
    words = ["codes.tokenizer.codebook_size=6,8"]
    launch(search(words), started)
    file = next((Path(started.uri) / "searches" / "quick-codebook_size").glob("trial-*.json"))
    file.write_text("{")
    with pytest.raises(Exception, match="is damaged .* remove the file and go on with --resume"):
        launch(search(words), started, resume=True)


class RecordingTracker(NullExperimentTracker):
    """Notes what it is told."""

    def __init__(self):
        self.trials, self.published = [], []

    def trial(self, name, params, values, tags, curve):
        self.trials.append((name, dict(params), dict(values), dict(tags), list(curve)))

    def publish(self, name, places, report):
        self.published.append((name, {noun: str(p) for noun, p in places.items()}, report))


@pytest.mark.slow
def test_a_recommender_decides_and_the_winner_is_registered(started):
    tracker = RecordingTracker()
    asked = search(["model.training.learning_rate=1e-5,3e-3"], objectives=("ndcg", "index"), seeds=(3,))
    found, said = launch(asked, started, tracker=tracker, register=True)
    assert any("shared by all trials: sequences" in line for line in said)
    assert [len(o.values) for o in found] == [7, 7]
    assert found[0].values["index"] == found[1].values["index"]
    ndcg = [
        read_record(Store(started).place(Address("model", f"quick-trial-{o.id}", "1"))).counts["valid_ndcg_10"]
        for o in found
    ]
    assert [o.values["ndcg"] for o in found] == ndcg
    assert all(o.values["hr"] >= o.values["ndcg"] for o in found)
    assert [params["seed"] for _, params, *_ in tracker.trials] == [3, 3]
    assert [name for _, name, _ in tracker.trials[0][4]].count("valid_score") == 3
    (_, none, folder), (name, places, report) = tracker.published
    assert none == {}
    assert folder.exists("pareto.png")
    best = found[ndcg.index(max(ndcg))]
    assert name == "quick"
    assert places["model"].endswith(f"model/quick-trial-{best.id}/1")
    assert report.exists("report.html")
