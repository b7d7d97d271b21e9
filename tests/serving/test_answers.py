"""Answers beside `Recommender.rank`, and quotas beside a greedy choice from the ranking of all items."""

import numpy as np
import pyarrow as pa
import pytest

from tests.recommenders import N
from tests.serving.ring_pair import TABLE, ids, pair
from unisid.errors import ConfigError, DataError
from unisid.serving.answers import MODEL, POPULARITY, TEXT, Answer, Problem, Query, answers
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters
from unisid.serving.quotas import Quota


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("serving"))


def one(shop, **query) -> Answer:
    (found,) = answers(shop, [Query(**query)])
    assert isinstance(found, Answer), found
    return found


def mask_of(rule):
    return np.array([rule(item) for item in range(N)])


def test_an_answer_is_what_rank_gives(shop):
    items, scores = shop.recommender.rank([[1, 2, 3]], 7)
    found = one(shop, history=ids(1, 2, 3), k=7)
    assert found.items.tolist() == items[0].tolist()
    assert found.scores.tolist() == scores[0].tolist()
    assert (found.source, found.skipped, found.note) == (MODEL, (), "")


def test_rows_of_a_batch_are_what_each_alone_is(shop):
    histories = [[1, 2, 3], [9], [4, 4, 5, 6, 7, 8, 9, 10, 11], [0, 19]]
    queries = [
        Query(history=ids(*histories[0]), k=3),
        Query(history=ids(*histories[1]), k=9, rule="stock"),
        Query(history=ids(*histories[2]), k=5, exclude_history=False),
        Query(history=ids(*histories[3]), k=5, exclude=tuple(ids(1, 2)), allowed=tuple(ids(1, 3, 5))),
        Query(history=3),
        Query(user="nobody", k=4),
    ]
    together = answers(shop, queries)
    for query, found in zip(queries, together, strict=True):
        (alone,) = answers(shop, [query])
        if isinstance(alone, Problem):
            assert found == alone
        else:
            assert found.items.tolist() == alone.items.tolist()
            np.testing.assert_allclose(found.scores, alone.scores, rtol=1e-5)
    whole, _ = shop.recommender.rank(histories[:1], 3)
    assert together[0].items.tolist() == whole[0].tolist()
    assert together[3].items.tolist()[:2] == [item for item in together[3].items if item in (3, 5)]
    assert len(together[3].items) == 2


def test_a_user_is_read_from_the_catalogue(shop):
    history = shop.history_of(3)
    items, _ = shop.recommender.rank([history], 5)
    found = one(shop, user="3", k=5)
    assert found.items.tolist() == items[0].tolist()
    assert not set(found.items) & set(history)


def test_a_rule_holds_for_every_answer_and_as_many_come_as_exist(shop):
    allowed = mask_of(lambda item: item % 3 != 0 and item < 8)
    found = one(shop, history=ids(1, 2), k=10, rule="stock and price < 8")
    assert sorted(found.items) == [4, 5, 7]  # all that obey, but for the history
    assert found.note == "only 3 items may be recommended under what the request allows"
    items, _ = shop.recommender.rank([[1, 2]], 3, allowed=allowed)
    assert found.items.tolist() == items[0].tolist()
    assert one(shop, history=ids(1, 2), k=10, partition="cheap", rule="stock").items.tolist() == found.items.tolist()
    nothing = one(shop, history=ids(1, 2), k=10, rule="price > 100")
    assert (len(nothing.items), nothing.note[:12]) == (0, "only 0 items")


def test_cold_users_get_popular_items_under_the_same_rules(shop):
    counts = np.bincount(shop.catalog.training_edges()[1], minlength=N)
    best = sorted(
        (item for item in range(N) if item % 3 != 0 and item not in (1, 2)), key=lambda item: (-counts[item], item)
    )
    for query in ({"user": "nobody"}, {"history": []}, {"history": ["gone", "lost"]}):
        found = one(shop, k=6, rule="stock", exclude=("id-1", "id-2"), **query)
        assert found.source == POPULARITY
        assert found.items.tolist() == best[:6]
        assert "popular items" in found.note
        assert found.scores.tolist() == sorted(found.scores, reverse=True)
    assert found.skipped == ("gone", "lost")
    assert np.exp(shop.popular[1]).sum() == pytest.approx(1)


def test_ids_that_the_catalogue_lacks_are_named_and_skipped(shop):
    found = one(shop, history=["id-1", "gone", "id-2"], k=4, exclude=("lost", "gone"))
    assert found.skipped == ("gone", "lost")
    assert found.items.tolist() == one(shop, history=ids(1, 2), k=4).items.tolist()
    none = one(shop, history=ids(1), k=4, allowed=("gone",))
    assert (len(none.items), none.skipped) == (0, ("gone",))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"history": None}, "history: is missing; must be a list of item ids"),
        ({"history": "id-1"}, "history: is 'id-1'; must be a list of item ids"),
        ({"history": ["id-1", 3]}, "history: has 3; must be a list of item ids, as text"),
        ({"user": 3}, "user: is 3; must be a user id"),
        ({"history": ["id-1"], "k": 0}, "k: is 0; must be an integer"),
        ({"history": ["id-1"], "k": True}, "k: is True"),
        ({"history": ["id-1"], "rule": "prize < 3"}, "no column 'prize'; did you mean 'price'?"),
        ({"history": ["id-1"], "partition": "chap"}, "is not one of cheap, in-stock; did you mean 'cheap'?"),
        ({"history": ["id-1"], "quota": Quota("color", 1)}, "quota: no column 'color'; did you mean 'colour'?"),
        ({"history": ["id-1"], "quota": Quota("colour", {"pink": 1})}, "no item has 'pink' in the column 'colour'"),
    ],
)
def test_a_bad_row_has_its_own_problem_and_costs_the_others_nothing(shop, query, message):
    good = Query(history=ids(1, 2, 3), k=3)
    first, bad, last = answers(shop, [good, Query(**query), good])
    assert isinstance(bad, Problem)
    assert message in bad.message
    expected = one(shop, history=ids(1, 2, 3), k=3).items.tolist()
    assert first.items.tolist() == last.items.tolist() == expected


@pytest.mark.parametrize("k", [1, 4, 7, 20])
@pytest.mark.parametrize("most", [1, 2, 3, {"red": 2, "old": 1}, {"blue": 5}])
@pytest.mark.parametrize("rule", ["", "stock"])
@pytest.mark.parametrize("who", [{"history": ids(1, 2)}, {"user": "nobody"}])
def test_a_quota_is_the_greedy_choice_from_the_whole_ranking(shop, k, most, rule, who):
    colours = TABLE["colour"].to_pylist()
    whole = one(shop, k=N, rule=rule, **who).items.tolist()
    expected, counts = [], dict.fromkeys(colours, 0)
    for item in whole:
        limit = most if isinstance(most, int) else most.get(colours[item], 0)
        if len(expected) < k and counts[colours[item]] < limit:
            counts[colours[item]] += 1
            expected.append(item)
    found = one(shop, k=k, rule=rule, quota=Quota("colour", most), **who)
    assert found.items.tolist() == expected
    assert bool(found.note.count("only")) == (len(expected) < k)


def test_a_rule_is_compiled_once_and_the_oldest_leaves_first(shop):
    filters = Filters(shop.filters.columns, {}, kept=2 * N)
    for rule in ("stock", " stock ", "price < 3", "stock", "price < 4", "stock", "price < 3"):
        filters.rule(rule)
    assert filters.compiled == 4  # 'price < 3' went when 'price < 4' came
    with pytest.raises(ValueError, match="read-only"):
        filters.rule("stock")[0] = False


def test_a_partition_that_fits_no_column_is_refused_at_once(shop):
    with pytest.raises(ConfigError, match=r"partition 'dear': rule 'prize > 3': no column 'prize'"):
        Filters(shop.filters.columns, {"dear": "prize > 3"})


def test_columns_join_by_item_id_and_say_what_they_leave(shop):
    table = pa.table(
        {
            "item_id": ["id-3", "gone", "id-1"],
            "price": [1.0, 2.0, float("nan")],
            "blob": [b"a", b"b", b"c"],
            "title": ["x", "y", "z"],
        }
    )
    columns = Columns.of(shop.catalog, table)
    assert (columns.unknown, columns.left) == (1, ("blob",))
    assert columns.values["price"].to_pylist() == [1.0 if item == 3 else None for item in range(N)]
    assert columns.values["title"][3].as_py() == shop.titles[3]  # the catalogue's own stay
    assert columns.items("price >= 0").tolist() == [item == 3 for item in range(N)]
    with pytest.raises(DataError, match="must have 'item_id'"):
        Columns.of(shop.catalog, pa.table({"id": ["id-1"]}))
    with pytest.raises(DataError, match="has the item 'id-1' more than once"):
        Columns.of(shop.catalog, pa.table({"item_id": ["id-1", "id-1"]}))


def test_who_took_nothing_gets_items_by_text_then_popular_ones(shop):
    popular = one(shop, history=[], k=N)
    found = one(shop, history=[], text="old pen", k=N)
    assert found.source == TEXT
    assert found.note == "history: is empty: items whose titles have words of the text"
    assert sorted(found.items.tolist()) == list(range(N))
    worded = [item for item in found.items.tolist() if {"old", "pen"} & set(shop.titles[item].split())]
    assert found.items.tolist()[: len(worded)] == worded
    assert shop.titles[worded[0]] == "old pen"
    assert found.items.tolist()[len(worded) :] == [item for item in popular.items.tolist() if item not in worded]
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_a_text_obeys_rules_and_is_not_read_beside_a_history(shop):
    found = one(shop, history=["gone"], text="old pen", k=3, rule="stock", exclude=tuple(ids(12)))
    assert all(item % 3 and item != 12 for item in found.items.tolist())
    assert (found.source, found.skipped) == (TEXT, ("gone",))
    assert one(shop, history=ids(1), text="old pen").items.tolist() == one(shop, history=ids(1)).items.tolist()
    assert one(shop, history=[], text="zeppelin").source == POPULARITY
    assert one(shop, user="nobody", text="old").note == "user 'nobody' is not in the catalogue: items whose titles " + (
        "have words of the text"
    )
