"""New items on planted data: clusters of items whose vectors are alike, from one of which each user takes all items."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import index_of
from tests.stages import ring
from unisid.artifacts.catalog import VALID, Catalog
from unisid.artifacts.store import Place
from unisid.backbones import Batch, Index, Limits, hierarchical, parallel, retrieval
from unisid.layers.recall import MemoryConfig

CLUSTERS, OLD, NEW = 6, 30, 3
N, ADDED = CLUSTERS * OLD, CLUSTERS * NEW
SIZES = (6, 6, 8)
RANDOM = np.random.default_rng(0)
CLUSTER = np.concatenate([np.arange(N) // OLD, np.arange(ADDED) // NEW])
LIKING = 1 / np.arange(1, OLD + 1) / (1 / np.arange(1, OLD + 1)).sum()
"""How often each item of a cluster is taken, most first."""
VECTORS = (np.eye(CLUSTERS)[CLUSTER] + 0.1 * RANDOM.normal(size=(N + ADDED, CLUSTERS))).astype(np.float32)
MEMORY = MemoryConfig(neighbours=10, recalled=20, alike=("fused",), words=False)
KINDS = {
    "hierarchical": hierarchical.Config(
        width=16, feedforward_width=16, num_layers=1, content=("fused",), memory=MEMORY
    ),
    "parallel": parallel.Config(width=16, feedforward_width=16, num_layers=1, memory=MEMORY),
    "retrieval": retrieval.Config(width=16, feedforward_width=16, num_layers=1, memory=MEMORY),
}


def index_over(num_items):
    codes = index_of(SIZES, num_items).codes.numpy()
    return Index.of(codes, SIZES, {"fused": VECTORS[:num_items]})


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Some items of a cluster are taken far more often than others."""
    users = [(user % CLUSTERS * OLD + RANDOM.choice(OLD, 9, replace=False, p=LIKING)).tolist() for user in range(300)]
    return Catalog.read(ring.write_catalog(Place.of(tmp_path_factory.mktemp("clusters")), users, N))


def recall(model, index, k, beam):
    """The share of new items that are answered to histories of their cluster, and the answers."""
    random, targets = np.random.default_rng(1), np.tile(np.arange(N, N + ADDED), 10)
    taken = [random.choice(OLD, 5, replace=False, p=LIKING) + OLD * cluster for cluster in CLUSTER[targets]]
    histories = torch.from_numpy(np.stack(taken))
    found = model.search(histories, index, k=k, beam=beam, limits=Limits(histories, taken=histories)).items
    return float((found == torch.from_numpy(targets)[:, None]).any(1).float().mean()), found


@torch.no_grad()
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "searched"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_new_items_come_among_all_above_chance(catalog, monkeypatch, kind, exact):
    torch.manual_seed(0)
    known, whole = index_over(N), index_over(N + ADDED)
    if kind == "parallel" and not exact:
        config = dataclasses.replace(KINDS[kind], decode="graph", edges=20)
    else:
        config = KINDS[kind]
    trained = config.build(known).eval()
    trained.count(catalog, known)
    rows = catalog.samples(VALID)
    past = torch.from_numpy(np.stack(np.split(catalog.past(rows)[0], len(rows))).astype(np.int64))
    targets = torch.from_numpy(catalog.item[rows].astype(np.int64))
    trained.blend([(Batch(past, targets), Limits(past, taken=past))], known, lambda tensor: tensor)
    model = config.build(whole)
    model.load(trained.weights(), whole)
    model.eval()
    if not exact:
        monkeypatch.setattr("unisid.backbones.hierarchical.model.EXACT", 0)
    before, _ = recall(model, whole, 10, 20)
    model.weigh_new(catalog, whole)
    after, found = recall(model, whole, 10, 20)
    assert after > max(3 * 10 / (N + ADDED), before)
    assert float((found >= N).float().mean()) < 0.1 or kind == "parallel"  # a sparse walk meets few of the others
