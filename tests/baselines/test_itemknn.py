import numpy as np
import pytest

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.references.ranking import itemknn_scores
from unisid.baselines import Histories
from unisid.baselines.itemknn import Config
from unisid.config import ConfigError


def test_by_hand(place):
    # training: {0, 1}, {0, 1}, {0, 2}; c = 3, 2, 1; s_01 = 2 / sqrt 6 * 2/3, s_02 = 1 / sqrt 3 * 1/2
    catalog = write_catalog(place, [[0, 1, 3, 4], [0, 1, 3, 4], [0, 2, 3, 4]], num_items=5)
    model = Config(shrinkages=(1.0,), decays=(0.5,)).build(catalog)
    s01, s02 = 2 / 6**0.5 * 2 / 3, 1 / 3**0.5 / 2
    scores = model.scores(Histories(np.array([0, 0, 1]), np.array([1, 2])))
    np.testing.assert_allclose(scores[0], [0, s01, s02, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(scores[1], [s01, 0.5 * s01, 0.5 * s02, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("shrinkage", "decay"), [(0.0, 1.0), (5.0, 0.6)])
def test_equals_twin(place, shrinkage, decay):
    baskets = random_baskets(25, 16, seed=2)
    catalog = write_catalog(place, baskets, num_items=16)
    model = Config(shrinkages=(shrinkage,), decays=(decay,)).build(catalog)
    histories = [[0, 3, 5], [9], [1, 9, 1]]  # the last one repeats an item
    joined = Histories(np.concatenate(histories), np.array([len(h) for h in histories]))
    expected = [itemknn_scores([set(b[:-2]) for b in baskets], 16, h, shrinkage, decay) for h in histories]
    np.testing.assert_allclose(model.scores(joined), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decays", [(1.0, 0.1), (0.1, 1.0)])
def test_validation_chooses_recency_where_only_the_last_item_matters(place, decays):
    """Items come in pairs (j, j + 1), and the older pairs of a history say nothing of the next item."""
    rng = np.random.default_rng(0)
    starts = [2 * rng.choice(15, size=3, replace=False) for _ in range(300)]
    baskets = [[a, a + 1, b, b + 1, c, c + 1, 0] for a, b, c in starts]
    chosen = Config(shrinkages=(0.0,), decays=decays).build(write_catalog(place, baskets, num_items=30)).chosen
    assert chosen["decay"] == 0.1
    assert chosen["valid_NDCG@10"] > 0.9


@pytest.mark.parametrize(
    "settings", [{"shrinkages": ()}, {"decays": (0.0,)}, {"decays": (1.1,)}, {"shrinkages": (-1.0,)}]
)
def test_refuses_an_empty_or_impossible_grid(settings):
    words = (
        "must each name at least one value|decays: is .*; must be above 0 and at most 1|shrinkages: is -1.0; must be at"
    )
    with pytest.raises(ConfigError, match=f"itemknn.*({words})"):
        Config(**settings)
