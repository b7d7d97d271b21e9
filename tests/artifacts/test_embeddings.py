"""Embeddings on disk: text vectors and token states as they were written."""

import numpy as np
import pyarrow as pa

from tests.artifacts.artifacts import complete
from unisid.artifacts import embeddings
from unisid.artifacts.shards import to_arrow, to_ragged, write_shard

N, D = 7, 3
RNG = np.random.default_rng(0)


def test_embeddings(anywhere):
    pooled = RNG.normal(size=(N, D)).astype(np.float32)
    lengths = np.array([1, 0, 4, 2, 1, 3, 2])
    states = RNG.normal(size=(lengths.sum(), D)).astype(np.float16)
    starts = np.cumsum(lengths) - lengths
    for index, (a, b) in enumerate([(0, 3), (3, 6), (6, N)]):
        inside = states[starts[a] : starts[a] + lengths[a:b].sum()]
        table = pa.table({"pooled": to_arrow(pooled[a:b]), "states": to_ragged(inside, lengths[a:b])})
        write_shard(anywhere, embeddings.FAMILY, index, table)
    complete(anywhere, "embeddings", {"width": D, "has_states": True})
    read = embeddings.Embeddings.read(anywhere)
    assert (read.width, read.has_states, len(read.shards)) == (D, True, N)
    np.testing.assert_array_equal(read.pooled(), pooled)
    np.testing.assert_array_equal(read.pooled(np.array([6, 0, 6])), pooled[[6, 0, 6]])
    values, found = read.shards.read_ragged("states", np.arange(N))
    np.testing.assert_array_equal(values, states)
    np.testing.assert_array_equal(found, lengths)
    assert (values.dtype, read.pooled().dtype) == (np.float16, np.float32)


def test_a_type_of_numbers_counts_where_all_devices_decided_on_it():
    decided = ({}, {"dtype": "bfloat16"}, {"dtype": "bfloat16, float32"})
    assert [embeddings.dtype_of(counts) for counts in decided] == [None, "bfloat16", None]
