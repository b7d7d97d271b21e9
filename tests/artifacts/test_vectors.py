"""Item vectors by noun: what each artifact that holds some gives, and which nouns hold none."""

import numpy as np
import pytest

from tests.artifacts import artifacts
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.graph import Graph
from unisid.artifacts.store import Store
from unisid.artifacts.vectors import READERS, check_nouns, item_vectors
from unisid.errors import ConfigError


def test_every_reader_gives_a_vector_an_item(place):
    store = Store(place)
    artifacts.write(store)
    places = {noun: artifacts.place_of(store, noun) for noun in ("embeddings", "graph", "fused")}
    found = item_vectors(places, ["fused", "graph", "embeddings"])
    assert set(found) == set(READERS)
    assert all(each.shape[0] == artifacts.N and each.dtype == np.float32 for each in found.values())
    np.testing.assert_array_equal(found["embeddings"], Embeddings.read(places["embeddings"]).pooled())
    np.testing.assert_allclose(found["graph"], Graph.read(places["graph"]).layers().mean(1))
    assert item_vectors({"fused": places["fused"]}, ["fused", "graph"]).keys() == {"fused"}


def test_a_noun_without_item_vectors_is_refused():
    check_nouns("model.backbone.vectors", READERS)
    with pytest.raises(ConfigError, match="here: 'codes' has no item vectors; must be of embeddings, graph, fused"):
        check_nouns("here", ["graph", "codes"])
