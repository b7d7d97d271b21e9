"""Related items: what was planted in transitions, in titles or in vectors is what the fitted weights rely on."""

import numpy as np
import pyarrow as pa
import torch

from tests.baselines.catalogs import write_catalog
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.tables import write_table
from unisid.baselines import Histories, rank_targets, related
from unisid.layers.recall import MemoryConfig
from unisid.ops.ranking import metric_values

N = 60
PLAIN = MemoryConfig(alike=(), words=False)


def ndcg(baseline, catalog):
    ranks = [excluded for excluded, _ in rank_targets(baseline, catalog, catalog.samples(TEST))]
    return float(metric_values(np.concatenate(ranks), (10,))[:, 1].mean())


def triples(users, seed=0):
    """Items n, n + 20 and n + 40 belong together, and training shows the first of them alone: the second is
    validation's target, the third the test's."""
    rng = np.random.default_rng(seed)
    return [[*rng.choice(20, 4, replace=False), x := int(rng.integers(20)), x + 20, x + 40] for _ in range(users)]


def test_what_follows_in_training_comes_first(place):
    baskets = [[a, a + 1, a + 2, a + 3] for a in range(N - 3) for _ in range(3)]
    catalog = write_catalog(place / "catalog", baskets, num_items=N)
    fitted = related.Config(memory=PLAIN).build(catalog)
    assert ndcg(fitted, catalog) > 0.95
    assert sum(fitted.chosen.values()) > 0
    scores = fitted.scores(Histories(np.array([7, 8]), np.array([2, 0])))
    assert scores[0].argmax() == 9
    assert scores[1].abs().max() == 0  # of an empty history nothing is recalled


def test_titles_in_common_are_relied_on_where_they_predict_what_training_never_showed(place):
    catalog = write_catalog(place / "catalog", triples(300), num_items=N)
    without = related.Config(memory=MemoryConfig(alike=())).build(catalog)
    titles = [f"word{n % 20}" for n in range(N)]
    write_table(catalog.place, "items", 0, pa.table({"item_id": [f"i{n}" for n in range(N)], "title": titles}))
    catalog = Catalog.read(catalog.place)
    fitted = related.Config(memory=MemoryConfig(alike=())).build(catalog)
    assert fitted.chosen["weight_words_0.1"] > 0.5
    assert ndcg(fitted, catalog) > 0.9 > ndcg(without, catalog) + 0.3


def test_alike_vectors_are_relied_on_where_they_predict(place):
    catalog = write_catalog(place / "catalog", triples(300), num_items=N)
    vectors = np.random.default_rng(1).normal(size=(20, 16)).astype(np.float32)
    config = related.Config(memory=MemoryConfig(alike=("graph",), words=False))
    fitted = config.fitted(catalog, {"graph": np.concatenate([vectors] * 3)})
    assert fitted.chosen["weight_like_graph_0.01"] > 0.5
    assert ndcg(fitted, catalog) > 0.9


def test_the_score_is_the_weighted_sum_of_the_parts(place):
    catalog = write_catalog(place / "catalog", triples(50), num_items=N)
    fitted = related.Config(memory=PLAIN).build(catalog)
    before = torch.tensor([[3, 1], [5, -1]])
    parts = fitted.memory.of_all(fitted.memory.entries(before), before, N)
    expected = sum(
        weight.float() * part
        for weight, part in zip(fitted.weights.of(before, fitted.counts).T[:, :, None], parts, strict=True)
    )
    found = fitted.scores(Histories(np.array([1, 3, 5]), np.array([2, 1])))
    assert torch.allclose(found, expected, atol=1e-6)
