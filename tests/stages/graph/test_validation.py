"""Recall by joined columns: that of a plain loop over all items, the same for any number of workers."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.references.ranking import rank_of_target
from unisid.graphs import GraphModel
from unisid.ops.bpr import Unknown
from unisid.ops.propagate import adjacency
from unisid.stages.graph import validation
from unisid.stages.graph.edges import Edges
from unisid.training import columns

NUM_USERS, WIDTH = 5, 8


class Given(GraphModel):
    """Vectors as they are given."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = torch.nn.Parameter(vectors)

    def forward(self):
        return self.vectors

    def penalty(self, nodes):
        return self.vectors.new_zeros(())

    def layers(self):
        return [self.vectors]


class Crew:
    """Workers that are threads; notes the bytes that each hands over."""

    def __init__(self, size):
        self.size, self.told, self.barrier = size, [None] * size, threading.Barrier(size, timeout=60)
        self.gathered, self.summed = [], []

    def each(self, work):
        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(work, [Peer(self, rank) for rank in range(self.size)]))


class Peer:
    def __init__(self, crew, rank):
        self.crew, self.rank, self.size, self.device = crew, rank, crew.size, torch.device("cpu")

    def exchange(self, tensor):
        self.crew.told[self.rank] = tensor
        self.crew.barrier.wait()
        found = list(self.crew.told)
        self.crew.barrier.wait()
        return found

    def all_gather(self, tensor):
        self.crew.gathered.append(tensor.nbytes)
        return torch.cat(self.exchange(tensor))

    def all_reduce(self, tensor):
        self.crew.summed.append(tensor.nbytes)
        return torch.stack(self.exchange(tensor)).sum(0)


def edges_of(known, targets, num_items) -> Edges:
    """Of (user, item) pairs that are known, and those that are to be found."""
    user, item = (np.array(ends, np.int32) for ends in zip(*sorted(known), strict=True))
    of_edge, item_of_edge = torch.from_numpy(user), torch.from_numpy(item)
    return Edges(
        graph=adjacency(user, item, NUM_USERS, num_items),
        unknown=Unknown.of(of_edge, item_of_edge, NUM_USERS, num_items),
        user=of_edge,
        item=item_of_edge,
        weight=None,
        learnable=torch.arange(len(user)),
        valid_user=torch.tensor([u for u, _ in targets], dtype=torch.long),
        valid_item=torch.tensor([i for _, i in targets], dtype=torch.long),
        user_degree=np.bincount(user, minlength=NUM_USERS).astype(np.int32),
        item_degree=np.bincount(item, minlength=num_items).astype(np.int32),
    )


def recalls(vectors, edges, crew) -> list[float]:
    """What each worker says."""

    def work(worker):
        mine = columns.owned(WIDTH, worker.rank, worker.size)
        return validation.validate(worker, Given(vectors[:, mine.start : mine.stop]), edges, WIDTH)

    return crew.each(work)


def plain(vectors, known, targets) -> float:
    """Item by item; known items but the target do not count."""
    hits = 0
    for user, target in targets:
        scores = (vectors[NUM_USERS:] @ vectors[user]).tolist()
        masked = [-np.inf if (user, i) in known and i != target else score for i, score in enumerate(scores)]
        hits += rank_of_target(masked, target) <= validation.CUTOFF
    return hits / max(1, len(targets))


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Seven items a block, two targets a group."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK_BYTES", 4 * WIDTH * 7)
        patch.setattr(validation, "SCORES_AT_ONCE", 15)
        yield


def whole_numbers(num_items, seed, most):
    """Small ones, so that products are exact and many are equal."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, (NUM_USERS + num_items, WIDTH), generator=random).float()


@given(st.integers(2, 80), st.integers(0, 3), st.integers(0, 2**16), st.data())
def test_it_is_that_of_a_plain_loop_whatever_the_number_of_workers(num_items, most, seed, data):
    pairs = st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, num_items - 1))
    known = data.draw(st.sets(pairs, min_size=1, max_size=3 * num_items))
    targets = sorted(data.draw(st.sets(pairs, max_size=12)))  # some of them known, as where the graph leaks
    vectors, edges = whole_numbers(num_items, seed, most), edges_of(known, targets, num_items)
    workers = data.draw(st.sampled_from([1, 2, 3, 8]))
    assert recalls(vectors, edges, Crew(workers)) == [plain(vectors, known, targets)] * workers


@pytest.mark.parametrize(("level", "found"), [(38, 1.0), (39, 0.0)])
@pytest.mark.parametrize("workers", [1, 3])
def test_items_of_the_targets_score_count_half(level, found, workers):
    """1 + 38 / 2 = 20 is within the cut-off, and half a rank more is not, wherever the target lies."""
    vectors = torch.zeros(NUM_USERS + 50, WIDTH)
    vectors[:NUM_USERS] = 1.0
    vectors[NUM_USERS + level + 1 :] = -1.0
    for target in (0, 20, level):
        assert recalls(vectors, edges_of({(1, 0)}, [(0, target)], 50), Crew(workers)) == [found] * workers


@pytest.mark.parametrize("above", [19, 20])
def test_one_that_is_no_number_stands_before_every_number(above):
    vectors = torch.ones(NUM_USERS + 50, WIDTH)
    vectors[NUM_USERS + 30 : NUM_USERS + 30 + above] = torch.nan
    vectors[NUM_USERS : NUM_USERS + 30] = -1.0
    vectors[NUM_USERS + 30 + above :] = -1.0
    vectors[NUM_USERS + 8] = 1.0
    assert recalls(vectors, edges_of({(1, 0)}, [(0, 8)], 50), Crew(1)) == [float(above == 19)]
    assert recalls(vectors, edges_of({(1, 0)}, [(0, 30)], 50), Crew(1)) == [0.0]  # nor is it found


def test_not_even_the_rounding_of_scores_depends_on_the_number_of_workers():
    """Items hold the same numbers in other orders, so that their ranks for one user are those of the last bits."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=WIDTH).astype(np.float32)
    items = np.stack([random.permutation(numbers) for _ in range(61)])
    vectors = torch.from_numpy(np.concatenate([np.ones((NUM_USERS, WIDTH), np.float32), items]))
    targets = [(user, item) for user in range(NUM_USERS) for item in range(60)]
    edges = edges_of({(0, 60)}, targets, 61)
    expected = recalls(vectors, edges, Crew(1))
    assert 0 < expected[0] < 1
    for workers in (2, 3, 8):
        assert recalls(vectors, edges, Crew(workers)) == expected * workers


@pytest.mark.parametrize("num_targets", [1, 30])
def test_what_is_sent_does_not_grow_with_scores(num_targets):
    """Each worker hands on its columns of every item and of each target's user, and one sum."""
    targets = [(user, item) for user in range(NUM_USERS) for item in range(6)][:num_targets]
    vectors, edges = whole_numbers(60, 0, 3), edges_of({(0, 59)}, targets, 60)
    crew = Crew(4)
    recalls(vectors, edges, crew)
    assert sum(crew.gathered) == 4 * WIDTH * (60 + num_targets)
    assert crew.summed == [8] * 4
