"""Lists of semantic ids: an id stands for all items that share it, and one that no item has keeps its place."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.artifacts.catalog import TEST
from unisid.errors import DataError
from unisid.judging.items_of_ids import NONE, ItemsOfIds
from unisid.judging.lists import read_lists
from unisid.judging.ranks import ranks_of

CODES = np.array([[0, 0], [0, 1], [0, 0], [1, 0]], np.int32)


def test_an_id_stands_for_its_items():
    entry, item = ItemsOfIds("x.json", CODES).read("a", pa.chunked_array([["1-0", "<a_0><b_0>", "<a_0><b_9>", "so"]]))
    assert entry.tolist() == [0, 1, 1, 2, 3]
    assert item.tolist() == [3, 0, 2, NONE, NONE]


def test_ids_of_another_index_are_refused():
    with pytest.raises(DataError, match=r"no item of x\.json has any of its ids, such as '<a_0><b_0><c_0>'; .* '<a_0>"):
        ItemsOfIds("x.json", CODES).read("a", pa.chunked_array([["<a_0><b_0><c_0>", "i4"]]))


@given(st.permutations(range(8)), st.integers(1, 8))
def test_a_rank_is_the_mean_over_orders_of_the_items_of_each_id(order, length):
    """Of 8 items in pairs: the target's rank is 1 + those of better ids + half of the other item of its own."""
    codes = np.arange(8)[:, None] // 2
    ids = list(dict.fromkeys(str(item // 2) for item in order))[:length]
    entry, item = ItemsOfIds("x", codes).read("a", pa.chunked_array([ids]))
    for target in range(8):
        wanted = 2 * ids.index(str(target // 2)) + 1.5 if str(target // 2) in ids else None
        at = np.flatnonzero(item == target)
        found = 1 + (entry < entry[at[0]]).sum() + ((entry == entry[at[0]]).sum() - 1) / 2 if len(at) else None
        assert found == wanted


def test_ties_and_ids_of_no_item_are_ranked(catalog, tmp_path):
    """Items by threes; every list begins with an id that is none, then that of the target's three."""
    spelled = ItemsOfIds("x", np.arange(15)[:, None] // 3)
    rows = catalog.samples(TEST)
    table = pd.DataFrame(
        {
            "user_id": [str(user) for user in catalog.user[rows]],
            "items": [["99", str(item // 3), str((item // 3 + 1) % 5)] for item in catalog.item[rows]],
        }
    )
    table.to_parquet(tmp_path / "a.parquet")
    lists = read_lists(str(tmp_path / "a.parquet"), catalog, spelled=spelled)
    assert (lists.longest, lists.users) == (3, len(rows))
    ranks, lengths = ranks_of(lists, catalog, rows)
    assert (ranks["allowed"] == 1 + 1 + 2 / 2).all()
    assert (lengths["allowed"] == 7).all()
    taken, past = catalog.past(rows)
    before = np.split(taken, np.cumsum(past)[:-1])
    for rank, target, history in zip(ranks["excluded"], catalog.item[rows].tolist(), before, strict=True):
        mates = {item for item in range(15) if item // 3 == target // 3} - {target} - set(history.tolist())
        assert np.isnan(rank) if target in history else rank == 2 + len(mates) / 2


def test_an_id_twice_in_a_list_is_refused_and_one_of_no_item_is_not(catalog, tmp_path):
    spelled = ItemsOfIds("x", np.arange(15)[:, None] // 3)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"user_id": "3", "items": ["1", "77", "77"]}))
    assert read_lists(str(path), catalog, spelled=spelled).item.tolist() == [3, 4, 5, NONE, NONE]
    path.write_text(json.dumps({"user_id": "3", "items": ["1", "1"]}))
    with pytest.raises(DataError, match="3 items stand twice in a list, such as 'item 3' for user '3'"):
        read_lists(str(path), catalog, spelled=spelled)
