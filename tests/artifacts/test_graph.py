"""The graph on disk: layers, degrees and users as they were written."""

import numpy as np

from tests.artifacts.artifacts import complete
from unisid.artifacts import graph
from unisid.artifacts.shards import Shards, write_array

N, D, LAYERS = 7, 3, 2
RNG = np.random.default_rng(0)


def test_graph(anywhere):
    layers = RNG.normal(size=(N, LAYERS, D)).astype(np.float32)
    degree, vectors = np.arange(N, dtype=np.int32), RNG.normal(size=(4, D)).astype(np.float32)
    write_array(anywhere, graph.ITEMS, {"layers": layers, "degree": degree}, shard_rows=3)
    write_array(anywhere, graph.USERS, {"vector": vectors})
    complete(anywhere, "graph", {"layers": LAYERS, "width": D})
    read = graph.Graph.read(anywhere)
    np.testing.assert_array_equal(read.layers(), layers)
    np.testing.assert_array_equal(read.layers(np.array([5, 1])), layers[[5, 1]])
    np.testing.assert_array_equal(read.degree(), degree)
    np.testing.assert_array_equal(Shards(anywhere, graph.USERS).read("vector"), vectors)
