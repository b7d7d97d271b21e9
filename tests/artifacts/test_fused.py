"""Fused vectors on disk, and which of them are of text alone."""

import numpy as np

from tests.artifacts.artifacts import complete
from unisid.artifacts import fused
from unisid.artifacts.shards import write_array

N, D = 7, 3
RNG = np.random.default_rng(0)


def test_fused(anywhere):
    vectors, alone = RNG.normal(size=(N, D)).astype(np.float32), np.arange(N) % 2 == 0
    write_array(anywhere, fused.FAMILY, {"vector": vectors, "text_only": alone}, shard_rows=2)
    complete(anywhere, "fused", {"width": D})
    read = fused.Fused.read(anywhere)
    assert read.width == D
    np.testing.assert_array_equal(read.vectors(), vectors)
    np.testing.assert_array_equal(read.vectors(np.array([6, 2])), vectors[[6, 2]])
    np.testing.assert_array_equal(read.text_only(), alone)
