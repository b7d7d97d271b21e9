import numpy as np
import pytest
import torch

from unisid.errors import ConfigError
from unisid.graphs.lightgcn import Config, xavier
from unisid.ops.propagate import adjacency


@pytest.fixture
def graph():
    rng = np.random.default_rng(0)
    edges = np.unique(np.stack([rng.integers(0, 500, 900), rng.integers(0, 50, 900)], 1), axis=0).astype(np.int32)
    return adjacency(edges[:, 0], edges[:, 1], 500, 50)


def test_scores_come_from_the_mean_of_the_layers(graph):
    model = Config(num_layers=4, width=3).build(graph, range(3), 1)
    torch.testing.assert_close(model(), torch.stack(model.layers()).mean(0))


def test_the_start_is_xaviers_for_users_and_items_apart(graph):
    start = xavier(graph, range(30), 30, seed=3)
    for part, count in ((start[:500], 500), (start[500:], 50)):
        bound = (6.0 / (count + 30)) ** 0.5
        assert part.abs().max() <= bound
        assert part.abs().max() > 0.99 * bound
        assert abs(part.mean().item()) < 0.05 * bound
    correlation = np.corrcoef(start.T.numpy())
    assert np.abs(correlation - np.eye(30)).max() < 0.2  # columns are independent draws


def test_the_penalty_counts_a_node_as_often_as_the_batch_does(graph):
    model = Config(num_layers=2, width=3, penalty=0.5).build(graph, range(3), 1)
    expected = 0.5 * (2 * model.vectors[4].square().sum() + model.vectors[510].square().sum())
    torch.testing.assert_close(model.penalty(torch.tensor([4, 4, 510])), expected)


@pytest.mark.parametrize("setting", [{"num_layers": -1}, {"width": 0}, {"penalty": -0.1}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        Config(**setting)
