"""`unisid.Recommender`: the shop's ids in and out, equal to the recommender over item numbers."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import unisid
from tests.recommenders import N, stored
from tests.stages import ring
from unisid.api.recommender import Recommender
from unisid.errors import ConfigError
from unisid.ops.semantic_ids import spell

WALKS = ring.walks(12, N)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def recommender(store):
    return Recommender.load("ring", store, device="cpu")


def named(row):
    return [f"item {item}" for item in row]


def test_ranks_as_the_recommender_over_numbers(recommender):
    found = recommender.rank([named(WALKS[3]), named(WALKS[5])], k=4)
    items, scores = recommender.inner.rank([WALKS[3], WALKS[5]], 4)
    assert found.ids == [named(row) for row in items.tolist()]
    assert found.scores == scores.tolist()
    assert found.titles == found.ids  # the ring's titles are its ids
    assert found.semantic_ids == [[spell(recommender.codes.codes[item]) for item in row] for row in items]
    assert len(found) == 2


def test_answers_say_how_far_they_are_certain(recommender):
    rows = [named([1, 2]), named([7])]
    found, proven = recommender.rank(rows, 3, beam_width=3), recommender.inner.prove([[1, 2], [7]], 3, beam_width=3)
    assert found.certain == proven.proven.tolist()
    assert found.slack == proven.slack.tolist()
    assert max(found.slack) > 0
    sure = recommender.rank(rows, 3, beam_width=3, widest=N)
    assert (sure.certain, sure.slack) == ([3, 3], [0, 0])
    assert sure.ids == recommender.rank(rows, 3, beam_width=N).ids
    with pytest.raises(ConfigError, match="widest is 4, the first beam 5"):
        recommender.rank(rows, 3, beam_width=5, widest=4)


def test_users_have_their_histories(recommender):
    found = recommender.rank(users=["5", "3"], k=3)
    assert found.ids == recommender.rank([named(WALKS[5]), named(WALKS[3])], k=3).ids
    assert found.users == ["5", "3"]
    assert found.to_arrow().column("user").to_pylist() == ["5"] * 3 + ["3"] * 3
    assert recommender.rank(users=pd.Series([5, 3]), k=3).ids == found.ids


def test_histories_may_be_columns_of_any_library(recommender):
    lists = [named(WALKS[3]), ["item 1"]]
    wanted = recommender.rank(lists, k=2).ids
    for column in (pa.array(lists), pd.Series(lists), pl.Series(lists), np.array(lists, dtype=object)):
        assert recommender.rank(column, k=2).ids == wanted


def test_answers_are_tables(recommender):
    found = recommender.rank([named(WALKS[3]), ["item 1"]], k=2)
    table = pa.table(found)
    assert table.column_names == ["row", "rank", "item_id", "score", "title", "semantic_id"]
    assert table.column("row").to_pylist() == [0, 0, 1, 1]
    assert table.column("rank").to_pylist() == [1, 2, 1, 2]
    assert table.column("item_id").to_pylist() == [*found.ids[0], *found.ids[1]]
    assert found.to_pandas()["score"].tolist() == pytest.approx([*found.scores[0], *found.scores[1]])
    assert pl.DataFrame(found)["semantic_id"].to_list() == [*found.semantic_ids[0], *found.semantic_ids[1]]


def test_allowed_and_excluded_items_for_all_rows_or_each(recommender):
    histories, everything = [["item 1"], ["item 2"]], recommender.rank([["item 1"], ["item 2"]], k=N).ids
    stock = ["item 3", "item 4", "item 9", "gone"]
    found = recommender.rank(histories, k=N, allowed=stock).ids
    assert found == [[item for item in row if item in stock] for row in everything]
    found = recommender.rank(histories, k=N, allowed=[["item 3"], pa.array(["item 4", "item 5"])]).ids
    assert [sorted(row) for row in found] == [["item 3"], ["item 4", "item 5"]]
    found = recommender.rank(histories, k=N, exclude=np.array(["item 3"])).ids
    assert found == [[item for item in row if item != "item 3"] for row in everything]
    found = recommender.rank(histories, k=N, allowed=stock, exclude=[["item 3"], []]).ids
    assert [sorted(row) for row in found] == [["item 4", "item 9"], ["item 3", "item 4", "item 9"]]
    assert recommender.rank(histories, k=N, exclude=[]).ids == everything
    kept = recommender.rank(histories, k=3, exclude_history=False, allowed=["item 1"])
    assert kept.ids == [["item 1"], ["item 1"]]


def test_no_row_is_no_answer(recommender):
    found = recommender.rank([], k=3)
    assert len(found) == 0
    assert found.to_arrow().num_rows == 0
    assert found.to_arrow().schema == recommender.rank([["item 1"]], k=1).to_arrow().schema


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, unisid.ConfigError, "neither of histories and users"),
        ({"histories": [["item 1"]], "users": ["3"]}, unisid.ConfigError, "both of histories and users"),
        ({"histories": ["item 1"]}, unisid.DataError, "holds the text 'item 1'; must be a list of histories"),
        ({"histories": "item 1"}, unisid.DataError, "histories: is 'item 1'; must be a list"),
        ({"histories": [["item 1"], ["Item 2"]]}, unisid.DataError, "did you mean 'item 2'"),
        ({"histories": [["item 1"], []]}, unisid.DataError, "history 1: is empty"),
        ({"histories": [[True]]}, unisid.DataError, "history 0: True is no id"),
        ({"histories": [[None]]}, unisid.DataError, "history 0: None is no id"),
        ({"histories": [[1.0]]}, unisid.DataError, "history 0: 1.0 is no id"),
        ({"histories": [7]}, unisid.DataError, "history 0: is 7; must be a list"),
        ({"users": ["nobody"]}, unisid.DataError, "user 'nobody': not in catalog/ring/1.*give histories"),
        ({"users": "3"}, unisid.DataError, "users: is '3'; must be a list"),
        ({"users": ["3"], "k": 0}, unisid.ConfigError, "k is 0"),
        ({"users": ["3"], "allowed": ["gone"]}, unisid.DataError, "allowed: names none of the 20 items"),
        ({"users": ["3"], "allowed": [["item 1"], ["item 2"]]}, unisid.DataError, "has 2 lists for 1 rows"),
        ({"users": ["3"], "exclude": "item 1"}, unisid.DataError, "exclude: is 'item 1'; must be a list"),
    ],
)
def test_wrong_input_is_a_typed_error(recommender, given, error, message):
    with pytest.raises(error, match=message):
        recommender.rank(**given)


def test_it_is_found_by_name_or_address_and_says_which(store, caplog):
    with caplog.at_level(logging.INFO, "unisid"):
        assert (
            repr(Recommender.load(None, store)) == "Recommender(model/ring/1 with codes/ring/1 (the newest), 20 items)"
        )
    assert [record.getMessage() for record in caplog.records] == ["model/ring/1 with codes/ring/1 (the newest) answers"]
    assert str(Recommender.load("model/ring/1", store).pair) == "model/ring/1 with codes/ring/1 (named)"
    for name, error, message in (
        ("rong", unisid.ArtifactError, "no model of 'rong' here; did you mean 'ring'"),
        ("model/rong/1", unisid.ArtifactError, "did you mean 'model/ring/1'"),
        ("codes/ring/1", unisid.ConfigError, "is codes; must be a name, or a model's address"),
    ):
        with pytest.raises(error, match=message):
            Recommender.load(name, store)
    with pytest.raises(unisid.ConfigError, match="device 'gpu9'"):
        Recommender.load("ring", store, device="gpu9")


def test_all_items_are_listed_with_their_semantic_ids(recommender):
    found = recommender.items().to_pylist()
    assert [row["item_id"] for row in found] == named(range(N))
    assert len({row["semantic_id"] for row in found}) == N


def test_there_is_no_store(tmp_path):
    with pytest.raises(unisid.ArtifactError, match="no model here yet; run a recipe first"):
        Recommender.load(store=tmp_path / "none")
