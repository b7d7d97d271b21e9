"""Methods with a vector a user: the scorer, LightGCN from the graph, BPR-MF."""

import importlib.util

import numpy as np
import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.baselines.fitting import fit, inputs
from unisid.artifacts.catalog import TEST
from unisid.artifacts.graph import Graph
from unisid.baselines import Histories, bprmf, lightgcn, popularity, validation_ndcg
from unisid.baselines.parts.factors import Factors
from unisid.errors import ArtifactError, ConfigError


@pytest.fixture
def catalog(place):
    return write_catalog(place / "catalog", random_baskets(40, 20, seed=1), num_items=20)


def test_users_are_known_by_number_and_others_by_what_they_took():
    factors = Factors(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    asked = Histories(np.array([0, 0, 2, 1]), np.array([1, 2, 1]), np.array([0, 1, 1]))
    assert factors.scores(asked).tolist() == [[1.0, 2.0, 3.0], [1.0, 0.5, 1.5], [0.0, 1.0, 1.0]]
    none = Histories(asked.items, np.array([1, 3, 0]))
    assert factors.scores(none)[[0, 2]].tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_an_items_bias_counts_once_for_every_user():
    factors = Factors(torch.tensor([[2.0], [0.0]]), torch.tensor([[1.0], [3.0]]), torch.tensor([-4.0, 5.0]))
    asked = Histories(np.array([1]), np.array([0, 1]), np.array([0, 1]))
    assert factors.scores(asked).tolist() == [[-2.0, 11.0], [-1.0, 14.0]]


def test_lightgcn_is_the_graphs_vectors(catalog, place):
    fitted = fit(lightgcn.Config(), catalog, place / "fitted")
    graph = Graph.read(catalog.place / "graph")
    users, items = graph.users.read("vector"), graph.layers().mean(1)
    scores = fitted.scores(Histories(np.array([0, 1]), np.array([1, 1]), np.array([7, 3])))
    np.testing.assert_allclose(scores, users[[7, 3]] @ items.T, rtol=1e-5, atol=1e-7)


def test_lightgcn_refuses_another_catalogs_graph(catalog, place):
    read = inputs(lightgcn.Config(), catalog)
    other = write_catalog(place / "other", random_baskets(30, 20, seed=1), num_items=20)
    with pytest.raises(ArtifactError, match=r"has 40 users and 20 items, the catalog .* 30 and 20; .* one recipe"):
        lightgcn.Config().build_from({**read, "catalog": other.place})


def test_lightgcn_refuses_to_do_without_a_graph(catalog):
    with pytest.raises(ConfigError, match="lightgcn: reads a graph beside the catalog .* by the stage baseline"):
        lightgcn.Config().build(catalog)


def test_bprmf_finds_the_halves_that_users_stay_in(catalog, place):
    fitted = fit(bprmf.Config(width=8), catalog, place / "fitted")
    assert fitted.chosen["penalty"] in bprmf.Config().penalties
    rows = catalog.samples(TEST)
    ahead = validation_ndcg(fitted, catalog, rows) - validation_ndcg(popularity.Config().build(catalog), catalog, rows)
    assert ahead > 0.1


def test_bprmf_draws_by_the_runs_seed(catalog, place):
    vectors = [fit(bprmf.Config(width=8), catalog, place / str(n), seed=n % 2).users for n in range(3)]
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])


def test_bprmf_has_no_scores_for_users_without_training_items(place):
    catalog = write_catalog(place / "catalog", [*random_baskets(30, 20, seed=1), [4, 5]], num_items=20)
    fitted = bprmf.Config(width=8, epochs=2).build(catalog)
    assert not fitted.users[30].any()
    assert fitted.users[:30].any(1).all()
    assert fitted.users.shape[1] == fitted.items.shape[1] == 8
    assert fitted.biases.any()


def test_bprmf_says_what_is_missing(catalog, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs the package implicit, .* pip install 'unisid\[baselines\]'"):
        bprmf.Config().build(catalog)


@pytest.mark.parametrize("settings", [{"width": 0}, {"penalties": ()}, {"penalties": (-1.0,)}, {"learning_rate": 0.0}])
def test_bprmf_refuses_settings(settings):
    with pytest.raises(
        ConfigError, match=rf"bprmf.{next(iter(settings))}: is .*; must (be|name) (above 0|at least [01])"
    ):
        bprmf.Config(**settings)
