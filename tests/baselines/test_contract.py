"""What every baseline must do, asked of every module in the folder."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.baselines.fitting import KINDS, fit, inputs, settings
from unisid.artifacts.catalog import TEST, VALID, Catalog
from unisid.artifacts.tables import write_table
from unisid.baselines import BaselineConfig, Histories, mask_past, rank_targets
from unisid.baselines.parts.learned import LearnedBaseline, LearnedConfig, Windows
from unisid.config import from_record, plug_in, to_record
from unisid.errors import ArtifactError
from unisid.ops.ranking import metric_values
from unisid.stages.baseline.training import NextItem

LEARNED = [kind for kind in KINDS if issubclass(plug_in("baselines", kind), LearnedConfig)]


@pytest.fixture
def catalog(place) -> Catalog:
    return write_catalog(place / "catalog", random_baskets(40, 20, seed=1), num_items=20, history_length=6)


def asked(*lengths: int) -> Histories:
    items = np.random.default_rng(0).integers(0, 20, sum(lengths))
    return Histories(items, np.array(lengths), np.arange(len(lengths)) % 40)


def change(catalog: Catalog, split: int) -> Catalog:
    """The catalog with item 0 as every target of a split."""
    item = catalog.item.copy()
    item[catalog.samples(split)] = 0
    table = {"user": catalog.user, "item": item, "timestamp": catalog.timestamp, "split": catalog.split}
    write_table(catalog.place, "interactions", 0, pa.table(table))
    return Catalog.read(catalog.place)


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
def test_scores_all_items_for_any_histories(kind, catalog, place):
    config = plug_in("baselines", kind)()
    assert isinstance(config, BaselineConfig)
    assert from_record(BaselineConfig, to_record(config)) == config
    baseline = fit(config, catalog, place / "fitted", epochs=1)
    for histories in (asked(2, 0, 1), asked(6, 6), asked(0)):
        scores = baseline.scores(histories)
        assert scores.shape == (len(histories), catalog.num_items)
        assert scores.isfinite().all()
        assert not scores.requires_grad


@pytest.mark.parametrize("kind", LEARNED)
def test_without_a_history_popularity_answers(kind, catalog):
    """For known and unknown users alike; the answers of those with a history do not depend on the rest of the batch."""
    config = settings(kind)
    model = config.build_from(inputs(config, catalog))
    assert isinstance(model, LearnedBaseline)
    model.eval()
    popular = plug_in("baselines", "popularity")().build(catalog).for_all
    assert popular.unique().numel() > 1
    items, users = np.array([4, 9, 2]), np.array([7, 3, 11])
    without_users = model.scores(Histories(items, np.array([2, 0, 1]), users))
    assert torch.equal(without_users[1], popular)
    alone = model.scores(Histories(items, np.array([2, 1]), users[[0, 2]]))
    torch.testing.assert_close(without_users[[0, 2]], alone)
    assert torch.equal(model.scores(Histories(items[:0], np.array([0]))), popular[None])
    assert "popularity" not in model.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_learns_nothing_from_test_targets(kind, catalog, place):
    """Other test targets, same fitted scores, bit for bit; so two fits are one."""
    before = fit(settings(kind), catalog, place / "before")
    after = fit(settings(kind), change(catalog, TEST), place / "after")
    assert after.chosen == before.chosen
    assert torch.equal(after.scores(asked(1, 2, 3)), before.scores(asked(1, 2, 3)))


@pytest.mark.parametrize("kind", LEARNED)
def test_validation_targets_decide_when_to_stop_and_teach_nothing(kind, catalog, place):
    before = fit(settings(kind), catalog, place / "before", epochs=1)
    after = fit(settings(kind), change(catalog, VALID), place / "after", epochs=1)
    assert before.chosen != after.chosen
    for name, weight in before.state_dict().items():
        if name != "part_weights.values":  # hyper-parameters, which validation decides
            assert torch.equal(weight, after.state_dict()[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_do_not_depend_on_the_batch(kind, catalog, place, monkeypatch):
    baseline = fit(settings(kind), catalog, place / "fitted", epochs=1)
    rows = catalog.samples(TEST)
    whole = list(rank_targets(baseline, catalog, rows))
    monkeypatch.setattr("unisid.baselines.SCORES_AT_ONCE", 7 * catalog.num_items)
    monkeypatch.setattr("unisid.baselines.HISTORIES_AT_ONCE", 7)
    pieces = list(rank_targets(baseline, catalog, rows))
    assert len(pieces) > 1
    for rule in (0, 1):
        np.testing.assert_allclose(np.concatenate([p[rule] for p in pieces]), whole[0][rule], atol=0.5)


class Alone:
    """Rank r of so many workers, as far as an objective asks."""

    device = torch.device("cpu")

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size


def shares(kind, catalog, size) -> tuple[LearnedBaseline, list[list[Windows]]]:
    """A model as it starts, without dropout, and the steps of an epoch as each of so many workers has them."""
    torch.manual_seed(0)
    config = settings(kind, dropout=0.0)
    model = config.build_from(inputs(config, catalog))
    assert isinstance(model, LearnedBaseline)
    objectives = [NextItem(Alone(rank, size), model, catalog, 16, 0, 1) for rank in range(size)]
    return model, [list(objective.batches(3)) for objective in objectives]


def gradients(model, windows):
    model.zero_grad()
    loss = sum(model.loss(share) for share in windows)
    loss.backward()
    return loss.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("kind", LEARNED)
def test_the_workers_shares_of_a_step_add_up_to_it(kind, catalog):
    """Loss, gradient and count of every weight, however a step is divided: what is drawn is drawn for the row."""
    model, (whole,) = shares(kind, catalog, 1)
    _, divided = shares(kind, catalog, 3)
    assert len(whole) > 1
    assert {len(steps) for steps in divided} == {len(whole)}
    for step, parts in zip(whole, zip(*divided, strict=True), strict=True):
        assert model.count(step) == sum(model.count(part) for part in parts) > 0
        (loss, grads), (others, other_grads) = gradients(model, [step]), gradients(model, parts)
        torch.testing.assert_close(loss, others)
        for name, gradient in grads.items():
            torch.testing.assert_close(gradient, other_grads[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", LEARNED)
def test_learns_a_planted_order(kind, place):
    """The next item is a function of the last one: far above popularity, which is no better than chance here."""
    rng = np.random.default_rng(2)
    ring = rng.permutation(30)
    walks = zip(rng.integers(0, 30, 400), rng.integers(4, 13, 400), strict=True)
    baskets = [ring[(start + np.arange(length)) % 30].tolist() for start, length in walks]
    catalog = write_catalog(place / "catalog", baskets, num_items=30, history_length=6)
    found = {}
    for name in (kind, "popularity"):
        how = {"epochs": 16, "patience": 16, "learning_rate": 6e-3}
        baseline = fit(settings(name, dropout=0.1), catalog, place / name, **how)
        ranks = np.concatenate([excluded for excluded, _ in rank_targets(baseline, catalog, catalog.samples(TEST))])
        found[name] = metric_values(ranks, (1,))[:, 0].mean()
    assert found["popularity"] < 0.15
    assert found[kind] > 0.85


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_refused(catalog, value):
    """Instead of ranks: a score of NaN would count as a miss, silently."""

    class Diverged:
        def __init__(self):
            self.chosen = {}

        def scores(self, histories):
            scores = torch.zeros(len(histories), 20)
            scores[-1, 3] = value
            return scores

    with pytest.raises(ArtifactError, match="Diverged: gives items scores that are NaN or infinite"):
        list(rank_targets(Diverged(), catalog, catalog.samples(TEST)))
