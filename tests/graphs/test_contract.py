"""What every kind of graph model promises, asked of every module in the folder."""

import dataclasses

import numpy as np
import pytest
import torch

from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.graphs import GraphConfig
from unisid.ops.propagate import adjacency


@pytest.fixture(params=plug_ins("graphs"))
def config(request):
    return dataclasses.replace(plug_in("graphs", request.param)(), num_layers=3, width=5)


@pytest.fixture
def graph():
    edges = np.unique(np.random.default_rng(0).integers(0, 12, (40, 2)), axis=0).astype(np.int32)
    return adjacency(edges[:, 0], edges[:, 1], 12, 13)


def test_columns_apart_are_columns_together(config, graph):
    whole = config.build(graph, range(5), 7)
    parts = [config.build(graph, columns, 7) for columns in (range(2), range(2, 3), range(3, 5))]
    torch.testing.assert_close(torch.cat([p.vectors.data for p in parts], 1), whole.vectors.data, rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([p() for p in parts], 1), whole())
    for layer, pieces in zip(whole.layers(), zip(*(p.layers() for p in parts), strict=True), strict=True):
        torch.testing.assert_close(torch.cat(pieces, 1), layer)
    nodes = torch.tensor([0, 3, 3, 20])
    torch.testing.assert_close(sum(p.penalty(nodes) for p in parts), whole.penalty(nodes))


def test_there_are_layers_of_the_right_shape_and_gradients_reach_the_vectors(config, graph):
    model = config.build(graph, range(5), 7)
    assert [tuple(layer.shape) for layer in model.layers()] == [(25, 5)] * 4
    model().square().sum().backward()
    assert model.vectors.grad is not None
    assert torch.isfinite(model.vectors.grad).all()
    assert (model.vectors.grad != 0).any()


def test_the_seed_decides_the_start(config, graph):
    first, again, other = (config.build(graph, range(5), seed).vectors.data for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_settings_survive_a_record(config):
    assert from_record(GraphConfig, to_record(config)) == config
