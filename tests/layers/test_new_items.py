"""Items without training interactions: from which histories their offset comes, and where there is none."""

import numpy as np
import pytest
import torch

from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.layers.new_items import HISTORIES, known_histories, offset_of

N = 30
USERS = [[1, 2, 3, 29, 4, 5], [29, 28, 7, 8], [6, 9, 29]]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return Catalog.read(ring.write_catalog(Place.of(tmp_path_factory.mktemp("few")), USERS, N))


def level(read, taken):
    return torch.zeros(len(read), N)


def test_histories_are_those_of_training_without_new_items(catalog):
    known = np.arange(N) < 28
    assert [each.tolist() for each in known_histories(catalog, known)] == [[1, 2, 3], [6]]


def test_some_users_decide_where_there_are_many(tmp_path):
    users = ring.walks(HISTORIES + 50, N)
    found = known_histories(Catalog.read(ring.write_catalog(Place.of(tmp_path), users, N)), np.ones(N, bool))
    assert len(found) == HISTORIES


def test_items_of_equal_scores_need_no_offset_to_hold_their_share_of_the_catalogue(catalog):
    assert offset_of(level, catalog, torch.arange(N) >= 28, None) == pytest.approx(0, abs=1e-9)
    assert offset_of(level, catalog, torch.arange(N) >= 28, 0.5) == pytest.approx(np.log(14), abs=1e-6)


@pytest.mark.parametrize(
    ("new", "share"),
    [(torch.zeros(N).bool(), None), (torch.ones(N).bool(), None), (torch.arange(N) >= 28, 0.0)],
    ids=["none is new", "all are", "share 0"],
)
def test_nothing_is_added_where_nothing_can_be(catalog, new, share):
    assert offset_of(level, catalog, new, share) == 0.0


def test_a_history_ends_with_what_was_taken_last(tmp_path):
    users = [[*range(9), 9, 10]]
    shop = Catalog.read(ring.write_catalog(Place.of(tmp_path), users, N))
    seen = []

    def scores(read, taken):
        seen.append((read.tolist(), taken.tolist()))
        return torch.zeros(len(read), N)

    offset_of(scores, shop, torch.arange(N) >= 28, None)
    assert seen == [([[3, 4, 5, 6, 7, 8]], [[*range(9)]])]
