"""A baseline with memory and repeat term: the sum by hand, weights that validation fits, W workers equal to one."""

import numpy as np
import pytest
import torch

from tests.baselines.catalogs import write_catalog
from tests.baselines.fitting import fit, inputs
from unisid.artifacts.catalog import TEST, VALID
from unisid.baselines import Histories, gru4rec, itemknn, rank_targets, sasrec, with_memory
from unisid.errors import ConfigError
from unisid.layers.history import LATELY
from unisid.layers.recall import MemoryConfig
from unisid.ops.ranking import metric_values

N = 60
SMALL = with_memory.Config(
    baseline=sasrec.Config(width=8, num_layers=1, feedforward_width=8),
    memory=MemoryConfig(alike=(), words=False, neighbours=8),
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    from unisid.artifacts.store import Place

    rng = np.random.default_rng(0)
    walks = [[(start + step) % N for step in range(rng.integers(5, 12))] for start in rng.integers(0, N, 150)]
    return write_catalog(Place.of(tmp_path_factory.mktemp("walks")) / "catalog", walks, num_items=N, history_length=4)


def built(catalog, config=SMALL):
    torch.manual_seed(0)
    return config.build_from(inputs(config, catalog)).eval()


@torch.no_grad()
def test_a_score_is_the_weighted_sum_of_its_parts(catalog):
    model = built(catalog)
    model.part_weights.values[0] = torch.tensor([0.5, -3.0, 2.0, 0.7, 0.1, 0.2])
    histories = Histories(np.array([3, 4, 5]), np.array([3]), past=Histories(np.array([9, 3, 4, 5]), np.array([4])))
    network = model.inner.answer(histories).log_softmax(1)[0]
    table = model.memory.table("next")
    mass = torch.zeros(N)
    for age, item in enumerate((5, 4, 3)):
        for other, value in zip(table.items[item].tolist(), table.values[item].tolist(), strict=True):
            mass[other] += 0.6**age * value if other >= 0 else 0.0
    mass[[3, 4, 5]] = 0.0
    scores = model.scores(histories)[0]
    lately = {5: 1.0, 4: LATELY, 3: LATELY**2, 9: LATELY**3}  # what lies before the history counts as taken too
    for item in (5, 4, 3, 9):
        recalled = sum(w * torch.log1p(mass[item] / eps) for w, eps in ((0.7, 0.01), (0.1, 0.1)))
        rest = scores[item] - 0.5 * network[item] - recalled + 3.0 - 2.0 * lately[item]
        second = 0.2 * model.parts(histories)[5][0, item]
        assert abs(float(rest - second)) < 1e-4
    expected = 0.5 * network[6] + 0.7 * torch.log1p(mass[6] / 0.01) + 0.1 * torch.log1p(mass[6] / 0.1)
    assert abs(float(scores[6] - expected - 0.2 * model.parts(histories)[5][0, 6])) < 1e-4
    assert mass[6] > 0


def test_training_fits_the_weights_and_the_memory_lifts_a_network_that_learned_nothing(catalog, tmp_path):
    from unisid.artifacts.store import Place

    alone = fit(SMALL.baseline, catalog, Place.of(tmp_path / "alone"), epochs=1, learning_rate=1e-9)
    whole = fit(SMALL, catalog, Place.of(tmp_path / "whole"), epochs=1, learning_rate=1e-9)
    rows = catalog.samples(TEST)

    def ndcg(baseline, rule):
        ranks = [pair[rule] for pair in rank_targets(baseline, catalog, rows)]
        return metric_values(np.concatenate(ranks), (10,))[:, 1].mean()

    assert ndcg(whole, 0) > ndcg(alone, 0) + 0.3
    assert whole.part_weights.values[0, 1] < 0  # nothing is taken twice
    assert abs(ndcg(whole, 1) - ndcg(whole, 0)) < 0.02


def test_workers_fit_what_one_does(catalog):
    one, rows = built(catalog), catalog.samples(VALID)
    expected = one.blend(catalog, rows, lambda tensor: tensor)
    assert list(expected)[:4] == ["weight_baseline", "weight_taken", "weight_taken_lately", "weight_next_0.01"]
    assert list(expected.values()) == one.part_weights.values.flatten().tolist()
    twice = built(catalog)
    twice.blend(catalog, np.concatenate([rows, rows]), lambda tensor: tensor)
    shared = built(catalog)
    shared.blend(catalog, rows, lambda tensor: tensor * 2)  # two workers of equal shares
    assert torch.allclose(shared.part_weights.values, twice.part_weights.values, rtol=1e-6, atol=1e-9)
    none = built(catalog)
    assert none.blend(catalog, rows[:0], lambda tensor: tensor)["weight_baseline"] == 1.0


def test_any_kind_that_is_trained_may_have_it(catalog):
    model = built(catalog, with_memory.Config(baseline=gru4rec.Config(width=8, hidden_width=8)))
    assert model.scores(Histories(np.array([3, 4]), np.array([2]))).shape == (1, N)


@pytest.mark.parametrize("kind", [itemknn.Config(), with_memory.Config()])
def test_kinds_that_no_loss_trains_are_refused(kind):
    with pytest.raises(ConfigError, match=r"with_memory\.baseline: '\w+' is not trained by steps of a loss"):
        with_memory.Config(baseline=kind)
