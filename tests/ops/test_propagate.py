import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import propagate as reference
from unisid.ops.propagate import adjacency, layers, mean_over_layers, propagate


@st.composite
def graphs(draw):
    num_users, num_items = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    pairs = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    edges = np.array(sorted(draw(st.sets(pairs, min_size=1))), np.int32)
    return edges[:, 0], edges[:, 1], num_users, num_items


def vectors_for(graph, width=3):
    return torch.randn(graph.num_nodes, width, generator=torch.Generator().manual_seed(0))


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(0, 5))
def test_mean_over_layers_is_the_mean_of_dense_powers(edges, num_layers):
    graph = adjacency(*edges)
    vectors = vectors_for(graph)
    expected = reference.mean_over_layers(reference.dense_adjacency(*edges), vectors.double().numpy(), num_layers)
    np.testing.assert_allclose(mean_over_layers(graph, vectors, num_layers), expected, atol=2e-6)
    np.testing.assert_allclose(torch.stack(layers(graph, vectors, num_layers)).mean(0), expected, atol=2e-6)


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(0, 5))
def test_the_gradient_is_that_of_the_dense_product(edges, num_layers):
    graph = adjacency(*edges)
    matrix = torch.from_numpy(reference.dense_adjacency(*edges))
    start, weight = vectors_for(graph), torch.randn(graph.num_nodes, 3, generator=torch.Generator().manual_seed(1))
    ours, dense = start.clone().requires_grad_(), start.double().requires_grad_()
    (mean_over_layers(graph, ours, num_layers) * weight).sum().backward()
    powers = [torch.linalg.matrix_power(matrix, k) @ dense for k in range(num_layers + 1)]
    (torch.stack(powers).mean(0) * weight).sum().backward()
    torch.testing.assert_close(ours.grad, dense.grad.float(), atol=2e-6, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(graphs())
def test_one_product_is_symmetric(edges):
    graph = adjacency(*edges)
    rows = propagate(graph, torch.eye(graph.num_nodes))
    torch.testing.assert_close(rows, rows.T)
    np.testing.assert_allclose(rows, reference.dense_adjacency(*edges), atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(graphs(), st.data())
def test_weights_stand_in_the_matrix_and_only_their_ratios_matter(edges, data):
    weights = np.array(
        data.draw(st.lists(st.sampled_from([0.5, 1.0, 3.0, 10.0]), min_size=len(edges[0]), max_size=len(edges[0])))
    )
    rows = propagate(adjacency(*edges, weights), torch.eye(sum(edges[2:])))
    np.testing.assert_allclose(rows, reference.dense_adjacency(*edges, weights), atol=1e-6)
    np.testing.assert_allclose(rows, propagate(adjacency(*edges, 7 * weights), torch.eye(sum(edges[2:]))), atol=1e-6)
    plain = propagate(adjacency(*edges), torch.eye(sum(edges[2:])))
    assert torch.equal(propagate(adjacency(*edges, np.ones(len(weights))), torch.eye(sum(edges[2:]))), plain)


def test_columns_do_not_mix():
    rng = np.random.default_rng(0)
    user, item = np.unique(rng.integers(0, 40, (300, 2)), axis=0).astype(np.int32).T
    graph = adjacency(user, item, 40, 40)
    vectors = vectors_for(graph, 6)
    halves = [mean_over_layers(graph, vectors[:, part].contiguous(), 4) for part in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(halves, 1), mean_over_layers(graph, vectors, 4))


def test_the_input_is_left_as_it_was():
    graph = adjacency(np.array([0, 1], np.int32), np.array([0, 0], np.int32), 2, 1)
    vectors = vectors_for(graph)
    before = vectors.clone()
    for num_layers in (0, 1, 2):
        mean_over_layers(graph, vectors, num_layers)
        layers(graph, vectors, num_layers)
    torch.testing.assert_close(vectors, before, rtol=0, atol=0)


def test_a_second_derivative_is_refused_rather_than_wrong():
    graph = adjacency(np.array([0], np.int32), np.array([0], np.int32), 1, 1)
    vectors = vectors_for(graph).requires_grad_()
    (gradient,) = torch.autograd.grad(propagate(graph, vectors).square().sum(), vectors, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
