"""Lists that RecTools, RecBole and cornac wrote are read, and have the figures that each computed of them itself."""

import json
from pathlib import Path

import pytest

from unisid.artifacts.catalog import TEST
from unisid.judging.lists import read_lists
from unisid.judging.ranks import ranks_of
from unisid.ops.ranking import metric_names, metric_values

DATA = Path(__file__).parents[1] / "data" / "lists"
FIGURES = json.loads((DATA / "figures.json").read_text())


def read(name, catalog):
    return read_lists(str(DATA / name), catalog, users=str(DATA / "recbole-users.txt"))


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_are_the_librarys_own(name, catalog):
    wanted = FIGURES[name]
    cutoffs = sorted({int(metric.partition("@")[2]) for metric in wanted})
    ranks, _ = ranks_of(read(name, catalog), catalog, catalog.samples(TEST))
    for by_sample in ranks.values():  # what the user took before is in no list, so that both rules agree
        means = metric_values(by_sample, cutoffs).mean(0)
        assert dict(zip(metric_names(cutoffs), means, strict=True)) == pytest.approx(wanted, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "same", "cut"),
    [
        ("cornac.json", "cornac.csv", 60),
        ("cornac-answers.jsonl", "cornac.csv", 60),
        ("recbole.npy", "recbole-matrix.csv", 100),
        ("recbole.csv", "recbole-matrix.csv", 97),  # three entries have the score -inf: what the user took
    ],
)
def test_every_form_holds_the_same_lists(name, same, cut, catalog):
    found, wanted = read(name, catalog), read(same, catalog)
    assert len(found.item) == cut
    assert set(zip(found.user, found.item, strict=True)) <= set(zip(wanted.user, wanted.item, strict=True))
    ranks = [ranks_of(lists, catalog, catalog.samples(TEST))[0]["excluded"] for lists in (found, wanted)]
    assert ranks[0].tolist() == pytest.approx(ranks[1].tolist(), nan_ok=True)
