"""What every baseline must do, asked of every module in the folder."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.tables import write_table
from unisid.baselines import BaselineConfig, Histories, mask_past, rank_targets
from unisid.config import from_record, plug_in, plug_ins, to_record

KINDS = plug_ins("baselines")


@pytest.fixture
def catalog(place) -> Catalog:
    return write_catalog(place, random_baskets(40, 20, seed=1), num_items=20)


def test_histories(catalog):
    histories = Histories(np.array([5, 6, 7, 8]), np.array([3, 0, 1]))
    assert histories.rows.tolist() == [0, 0, 0, 2]
    assert histories.ages.tolist() == [2, 1, 0, 0]


def test_masking_leaves_the_scores_alone():
    scores = torch.zeros(2, 3)
    masked = mask_past(scores, Histories(np.array([0, 2, 1]), np.array([2, 1])))
    assert masked.isneginf().tolist() == [[True, False, True], [False, True, False]]
    assert (scores == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_all_items_for_any_histories(kind, catalog):
    config = plug_in("baselines", kind)()
    assert isinstance(config, BaselineConfig)
    assert from_record(BaselineConfig, to_record(config)) == config
    scores = config.build(catalog).scores(Histories(np.array([3, 3, 4]), np.array([2, 0, 1])))
    assert scores.shape == (3, catalog.num_items)
    assert scores.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_learns_nothing_from_test_targets(kind, catalog, place):
    """Other test targets, same fitted scores."""
    before = plug_in("baselines", kind)().build(catalog)
    item = catalog.item.copy()
    item[catalog.samples(TEST)] = 0
    table = {"user": catalog.user, "item": item, "timestamp": catalog.timestamp, "split": catalog.split}
    write_table(place, "interactions", 0, pa.table(table))
    after = plug_in("baselines", kind)().build(Catalog.read(place))
    histories = Histories(np.arange(6), np.array([1, 2, 3]))
    assert after.chosen == before.chosen
    assert (after.scores(histories) == before.scores(histories)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_do_not_depend_on_the_batch(kind, catalog, monkeypatch):
    baseline = plug_in("baselines", kind)().build(catalog)
    rows = catalog.samples(TEST)
    whole = list(rank_targets(baseline, catalog, rows))
    monkeypatch.setattr("unisid.baselines.SCORES_AT_ONCE", 7 * catalog.num_items)
    pieces = list(rank_targets(baseline, catalog, rows))
    assert len(pieces) > 1
    for rule in (0, 1):
        np.testing.assert_array_equal(np.concatenate([p[rule] for p in pieces]), whole[0][rule])
