import numpy as np

from tests.baselines.catalogs import write_catalog
from unisid.baselines import Histories
from unisid.baselines.popularity import Config


def test_counts_distinct_training_users(place):
    catalog = write_catalog(place, [[0, 0, 1, 3, 3], [1, 0, 2, 3]], num_items=5)
    scores = Config().build(catalog).scores(Histories(np.array([0]), np.array([0, 1])))
    assert scores.tolist() == [[2, 2, 0, 0, 0]] * 2  # item 3 is only ever held out; a repetition counts once
