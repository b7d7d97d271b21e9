"""The walk along a graph of items, beside scoring all of them."""

import pytest
import torch

from unisid.decoding.walk import PAD, Graph, longest_axes, walk

N, B = 60, 3
VECTORS = torch.randn(N, 8, generator=torch.Generator().manual_seed(0))
SCORES = VECTORS @ torch.randn(8, B, generator=torch.Generator().manual_seed(1))
NONE = torch.full((B, 0), PAD)


def score(items):
    return SCORES.T.gather(1, items.clamp_min(0)).masked_fill(items == PAD, -torch.inf)


def anything(items):
    return torch.ones_like(items, dtype=torch.bool)


def test_neighbours_are_the_nearest_others_by_cosine():
    graph = Graph.of(VECTORS, 5)
    unit = torch.nn.functional.normalize(VECTORS, dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(-2)
    assert graph.neighbours.tolist() == cosine.topk(5, dim=1).indices.tolist()


def test_a_graph_of_few_items_has_as_many_edges_as_there_are_others():
    assert Graph.of(VECTORS[:4], 64).neighbours.sort(1).values.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_many_wide_vectors_are_compared_at_their_longest_axes(monkeypatch):
    """Vectors of few directions and a little noise: a graph of the sampled axes has the true neighbours."""
    generator = torch.Generator().manual_seed(2)
    inner = torch.randn(600, 6, generator=generator)
    wide = inner @ torch.randn(6, 40, generator=generator) + 0.01 * torch.randn(600, 40, generator=generator)
    exact = Graph.of(wide, 5).neighbours
    for name, value in {"EXACT": 100, "KEPT": 6, "SAMPLE": 200, "AT_ONCE": 250}.items():
        monkeypatch.setattr(f"unisid.decoding.walk.{name}", value)
    made = []

    def part(some):
        made.append(len(wide[some]))
        return wide[some]

    found = Graph.of_parts(part, 600, 5).neighbours
    assert found.dtype == torch.int32
    assert max(made) == 250
    shared = (found[:, :, None] == exact[:, None, :]).any(2).float().mean()
    assert shared > 0.8
    alone = longest_axes(wide, 6)
    torch.testing.assert_close(alone.T @ alone, torch.eye(6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("beam", [1, 4, N])
def test_where_all_are_neighbours_one_step_finds_what_scoring_all_does(beam):
    items, values = walk(Graph.of(VECTORS, N), NONE, score, anything, beam, rounds=1)
    best = SCORES.T.topk(beam, dim=1)
    assert torch.equal(items, best.indices)
    assert torch.equal(values, best.values)


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_sparse_graph_gives_items_once_with_their_own_scores_best_first(rounds):
    starts = torch.tensor([[3, 3, PAD], [PAD] * 3, [0, 1, 2]])
    items, values = walk(Graph.of(VECTORS, 3), starts, score, anything, 10, rounds)
    assert torch.equal(values, score(items))
    assert (values.diff(dim=1) <= 0).all()
    assert [len(set(row)) for row in items.tolist()] == [10] * B


def test_more_steps_find_no_worse_items():
    graph = Graph.of(VECTORS, 4)
    found = [walk(graph, NONE, score, anything, 5, rounds)[1].sum() for rounds in (0, 1, 3, 8)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_what_may_not_be_answered_is_walked_through():
    """A line 0 - 1 - 2 ...: its end is reached although all between is excluded."""
    line = torch.stack([torch.arange(N).sub(1).clamp_min(0), torch.arange(N).add(1).clamp_max(N - 1)], 1)

    def rising(items):
        return items.float().masked_fill(items == PAD, -torch.inf)

    def ends(items):
        return (items == 0) | (items == N - 1)

    found, _ = walk(Graph(line.int()), torch.tensor([[0]]), rising, ends, 1, rounds=N)
    assert found.tolist() == [[N - 1]]


def test_where_fewer_are_met_than_are_wanted_the_row_is_filled_up():
    items, values = walk(Graph.of(VECTORS, 3), NONE, score, lambda items: items == 7, 4, rounds=20)
    assert items[:, 1:].tolist() == [[PAD] * 3] * B
    assert values[:, 1:].isneginf().all()
