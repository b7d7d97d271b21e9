"""Vectors put together of codewords: by hand for each quantizer, and near what a package's ids were made of."""

import numpy as np
import pytest

from tests.exchange import packages
from unisid.artifacts.fused import Fused
from unisid.artifacts.store import Place, Store
from unisid.exchange.indexes import export_codes
from unisid.exchange.reader import encoded
from unisid.experiments.codewords import rebuilt, vectors_of_package
from unisid.tokenizers import rqkmeans

PLAIN = {"layers": 0, "normalise": False, "levels": 2, "sizes": [3, 3]}


def part(shape):
    words = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return {"codewords": words, "mean": np.array([1, 2, 3, 4], np.float32), "std": np.array([1, 2, 1, 2], np.float32)}


CODES = np.array([[0, 2], [2, 1], [1, 0]], np.int32)


def test_a_residual_quantizers_codewords_are_added():
    own = part((2, 3, 4))
    words = own["codewords"]
    wanted = (words[0][[0, 2, 1]] + words[1][[2, 1, 0]]) * own["std"] + own["mean"]
    np.testing.assert_allclose(rebuilt(CODES, PLAIN | {"quantizer": "residual"}, own), wanted, rtol=1e-6)
    latent = rebuilt(CODES, PLAIN | {"quantizer": "residual", "layers": 1}, own)
    np.testing.assert_allclose(latent, words[0][[0, 2, 1]] + words[1][[2, 1, 0]], rtol=1e-6)
    longer = np.column_stack([CODES, [7, 8, 9]])
    np.testing.assert_array_equal(rebuilt(longer, PLAIN | {"quantizer": "residual", "layers": 1}, own), latent)


@pytest.mark.parametrize(("quantizer", "shape"), [("tree", (12, 4)), ("product", (2, 3, 2))])
def test_the_codes_of_what_is_put_together_are_the_same(quantizer, shape):
    every = np.stack(np.meshgrid(range(3), range(3), indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
    how, own = PLAIN | {"quantizer": quantizer}, part(shape)
    if quantizer == "tree":  # each node's vectors around it, as k-means leaves them
        own["codewords"][:3] *= 100
        own["codewords"][3:] += np.repeat(own["codewords"][:3], 3, axis=0)
    np.testing.assert_array_equal(encoded(rebuilt(every, how, own), own, how), every)


def test_a_packages_vectors_are_near_those_it_was_made_of(place, tmp_path):
    store = Store(place)
    codes = packages.stored(store, rqkmeans.Config(num_levels=2, codebook_size=8, restarts=1), unique="append")
    export_codes(codes, store, str(tmp_path / "package"))
    found = vectors_of_package(Place.of(tmp_path / "package"), codes.codes)
    made = Fused.read(store.place(packages.at("fused"))).vectors()
    assert found.shape == made.shape
    error = np.square(found - made).sum() / np.square(made - made.mean(0)).sum()
    assert error < 0.1
