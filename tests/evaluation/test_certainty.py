"""How sure a search is, by the width of its beam: its figures are those of the proven answers."""

import numpy as np
import pytest
import torch

from tests.recommenders import N, made
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.store import Place
from unisid.evaluation.certainty import certainty
from unisid.serving.recommender import Recommender


@pytest.fixture(scope="module")
def tiger(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiger")
    found = made(Place.of(root), root, "tiger")
    recommender = Recommender.load(found["model"], found["codes"], found["catalog"], torch.device("cpu"))
    return recommender, Catalog.read(found["catalog"])


def test_shares_are_those_of_the_proven_answers(tiger):
    recommender, catalog = tiger
    widths = []
    found = certainty(recommender, catalog, [N, 3, 6, 6], 3, users=5, advance=widths.append)
    assert widths == [3, 6, N]
    assert (found["users"], found["k"]) == (5, 3)
    last = found["widths"][str(N)]
    assert last.pop("per_second") > 0
    assert last == {"proven": 1.0, "first": 3.0, "slack": 0.0, "found": 1.0}
    for name in ("proven", "found"):
        assert found["widths"]["3"][name] < 1.0
    rows = np.sort(np.random.default_rng(42).choice(catalog.samples(TEST), 5, replace=False))
    past = [catalog.item[catalog.offsets[catalog.user[row]] : row] for row in rows]
    narrow = recommender.prove(past, 3, beam_width=3)
    assert found["widths"]["3"]["proven"] == narrow.whole.mean()
    assert found["widths"]["3"]["first"] == narrow.proven.mean()
    assert found["widths"]["3"]["slack"] == narrow.slack.mean() > 0


def test_widths_by_level_are_shown_among_the_others(tiger):
    found = certainty(*tiger, [N, (4, 3), 3, (N, 4)], 3, users=5)["widths"]
    assert list(found) == ["3", "4,3", "20,4", "20"]
    assert found["3"]["found"] <= found["4,3"]["found"] <= found["20"]["found"] == 1.0
