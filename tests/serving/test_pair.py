"""A pair of index and recommender: names of prefixes, items of words, neighbours by semantic id, what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import index_of
from tests.recommenders import TINY, TITLES, N
from tests.serving.ring_pair import load, pair
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import write_model
from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError
from unisid.serving.columns import Columns
from unisid.serving.pair import Pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pair")


@pytest.fixture(scope="module")
def shop(folder) -> Pair:
    return pair(folder)


@pytest.fixture(scope="module")
def places(folder, shop) -> dict[str, Place]:
    return {noun: Place.of(folder / noun) for noun in ("catalog", "codes", "model")}


def shared(codes, one: int, other: int) -> int:
    """The levels on which two items agree from the first on."""
    return int(np.cumprod(codes[one] == codes[other]).sum())


def test_items_beside_one_share_its_longest_prefix_with_any_other(shop):
    codes = shop.codes.codes
    for item in range(N):
        longest = max(shared(codes, item, other) for other in range(N) if other != item)
        nearest = {other for other in range(N) if other != item and shared(codes, item, other) == longest}
        assert set(shop.beside(item, N)) == nearest
        assert set(shop.beside(item, 1)) < nearest or len(nearest) == 1
        assert len(shop.beside(item, 1)) == 1


def test_titles_are_found_by_all_words_in_order_of_number_and_only_so_many(shop):
    wanted = [n for n, title in enumerate(TITLES) if "red" in title.lower() and "pen" in title.lower()]
    assert shop.titled("PEN red", N) == wanted
    assert shop.titled("e", 3) == [n for n, title in enumerate(TITLES) if "e" in title.lower()][:3]
    assert shop.titled("  ", N) == shop.titled("red nothing", N) == []


def test_a_user_has_all_items_oldest_first(shop):
    for user, items in enumerate(ring.walks(12, N)):
        assert shop.history_of(user).tolist() == items


def test_names_of_prefixes_are_words_of_their_own_titles(shop):
    codes = shop.codes.codes
    prefixes = {tuple(row[:1].tolist()) for row in codes}
    for prefix in prefixes:
        below = " ".join(TITLES[item] for item in range(N) if codes[item, 0] == prefix[0]).lower()
        assert all(word in below for word in shop.name_of(prefix).lower().replace(",", " ").split())
    assert any(shop.name_of(prefix) for prefix in prefixes)
    assert shop.name_of((ring.SIZES[0] + 7,)) == ""


def test_versions_and_beams_are_those_given(shop, places):
    assert shop.versions.index == require(places["codes"], "codes").address
    assert shop.versions.model_fingerprint == require(places["model"], "model").fingerprint
    assert (shop.versions.index_version, shop.versions.model_version) == ("", "")
    nouns = (places["model"], places["codes"], places["catalog"])
    found = Pair.load(*nouns, registered=("3", "4"), beams=(7, 5))
    assert (found.versions.index_version, found.versions.model_version) == ("3", "4")
    assert found.recommender.beams == (7, 5)
    assert found.warm() is found


def test_a_partition_must_fit_the_columns(places):
    nouns = (places["model"], places["codes"], places["catalog"])
    with pytest.raises(ConfigError, match="colour"):
        Pair.load(*nouns, Columns.of, {"red": "colour == 'red'"})
    assert load(places).num_items == N


def test_a_recommender_of_another_index_is_refused(places, tmp_path):
    other = ring.write_index(Place.of(tmp_path / "codes"), N, seed=9)
    assert not np.array_equal(Codes.read(other).codes, Codes.read(places["codes"]).codes)
    with pytest.raises(ArtifactError, match="codes"):
        Pair.load(places["model"], other, places["catalog"])
    torch.manual_seed(0)
    backbone = TINY.build(index_of(ring.SIZES))
    model = Place.of(tmp_path / "model")
    write_model(model, to_record(TINY), backbone.weights(), backbone.files())
    ring.record(model, "model", to_record(TINY), {}, ring.entry(other, "codes"))
    found = Pair.load(model, other, places["catalog"])
    assert found.versions.index_fingerprint == require(other, "codes").fingerprint
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.folder = tmp_path
