"""A pair over mapped files answers as one over this process's own arrays does, whatever the recommender."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from tests import recommenders
from tests.recommenders import TITLES, N, made
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.baselines.popularity import count_users
from unisid.decoding import trie
from unisid.serving import arrays
from unisid.serving.answers import Query, answers
from unisid.serving.pair import Pair
from unisid.serving.recommender import Recommender

QUERIES = [
    Query(history=["id-1", "id-2"], k=7),
    Query(user="3", k=5, explain=True),
    Query(user="gone", text="red pen", k=6),
    Query(history=["gone", "id-4"], k=20, rule="title != 'red ink'"),
]


@pytest.fixture(params=["tiger", "lcrec"])
def places(request, tmp_path):
    return made(Place.of(tmp_path / "store"), tmp_path / "language", request.param)


def of(places, folder):
    return Pair.load(places["model"], places["codes"], places["catalog"], folder=folder)


def test_answers_are_the_same_and_those_of_rank(places, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 1)
    (tmp_path / "files").mkdir()
    one, two = of(places, tmp_path / "files"), of(places, tmp_path / "files").warm()
    assert len([*(tmp_path / "files").iterdir()]) == 2  # the index with its catalogue, and the weights
    alone = of(places, None)
    for pair in (one, two):
        for ours, theirs in zip(answers(pair, QUERIES), answers(alone, QUERIES), strict=True):
            np.testing.assert_array_equal(ours.items, theirs.items)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            assert (ours.source, ours.skipped, ours.explained) == (theirs.source, theirs.skipped, theirs.explained)
    plain = Recommender.load(places["model"], places["codes"], places["catalog"])
    for found, expected in zip(two.recommender.rank([[1, 2]], 7), plain.rank([[1, 2]], 7), strict=True):
        np.testing.assert_array_equal(found, expected)
    del one, two, pair
    assert [*(tmp_path / "files").iterdir()] == []


def test_popular_items_ids_and_neighbours_are_those_of_the_artifacts(places):
    pair = of(places, None)
    ids = pair.catalog.item_ids.to_pylist()
    assert [*pair.item_ids] == ids
    assert [pair.item_of[item_id] for item_id in ids] == [*range(N)]
    counts = count_users(pair.catalog).numpy()
    assert [*pair.popular[0]] == sorted(range(N), key=lambda item: (-counts[item], item))
    np.testing.assert_allclose(np.exp(pair.popular[1]).sum(), 1, rtol=1e-5)
    read = Codes.read(places["codes"])
    assert [pair.codes.find((code,)).tolist() for code in range(4)] == [
        read.find((code,)).tolist() for code in range(4)
    ]


@pytest.mark.parametrize("table", [0, 1 << 21])
def test_a_trie_of_its_arrays_is_the_trie(monkeypatch, table):
    monkeypatch.setattr(trie, "TABLE", table)
    built = trie.build(torch.unique(torch.randint(5, (60, 3)), dim=0))
    again = trie.Trie.of(built.arrays())
    for ours, theirs in zip(again.arrays().items(), built.arrays().items(), strict=True):
        assert ours[0] == theirs[0]
        assert torch.equal(ours[1], theirs[1])
    assert [level.width for level in again.levels] == [level.width for level in built.levels]


def test_only_equal_tensors_are_replaced():
    module = nn.Linear(200, 200).to(torch.bfloat16)
    held = {name: values.copy() for name, values in arrays.raw(module).items()}
    assert arrays.replace_equal(module, held) == 200 * 200 * 2  # the bias is small
    held["0"][0] += 1
    assert module.weight.data_ptr() == torch.from_numpy(held["0"]).data_ptr()
    other = nn.Linear(200, 200).to(torch.bfloat16)
    assert arrays.replace_equal(other, held) == 0
    assert arrays.replace_equal(other, {}) == 0


def test_stores_of_one_fingerprint_and_other_bytes_share_nothing(tmp_path, monkeypatch):
    """As of one recipe that ran on two machines."""
    (tmp_path / "files").mkdir()
    pairs = []
    for name, titles in (("one", TITLES), ("two", TITLES[::-1])):
        monkeypatch.setattr(recommenders, "TITLES", titles)
        places = made(Place.of(tmp_path / name), tmp_path / "language", "tiger")
        pairs.append(of(places, tmp_path / "files"))
    one, two = (pair.catalog for pair in pairs)
    assert one.record.fingerprint == two.record.fingerprint
    assert [[*pair.titles] for pair in pairs] == [TITLES, TITLES[::-1]]
    found = [sorted(pair.texts.nearest("red")[0].tolist()) for pair in pairs]
    assert found == [[0, 1, 2, 3], [16, 17, 18, 19]]
    summed, other = (dataclasses.replace(one.record, sums={"items": text}) for text in ("1", "2"))
    assert arrays.content_of(one.place, summed) == arrays.content_of(two.place, summed)  # a copy of the store
    assert arrays.content_of(one.place, summed) != arrays.content_of(one.place, other)
