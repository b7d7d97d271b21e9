"""What a person names: items and users by the shop's ids, artifacts by address or as the newest."""

import numpy as np
import pyarrow as pa
import pytest

from unisid.artifacts.catalog import LEFT_OUT, WHY_LEFT_OUT, Catalog, write_interactions
from unisid.artifacts.lookup import history_of, item_numbers, newest_of, number_of, place_of
from unisid.artifacts.record import RECORD, Record, write_record
from unisid.artifacts.store import Address, Store
from unisid.artifacts.tables import write_table, write_tables
from unisid.errors import ArtifactError, DataError


@pytest.fixture
def catalog(place) -> Catalog:
    at = place / "catalog" / "shop" / "1"
    ids = ["B01", "b02", "x", "0007"]
    write_table(at, "items", 0, pa.table({"item_id": ids, "title": ids}))
    write_table(at, "users", 0, pa.table({"user_id": ["Anna", "ben"]}))
    reason = next(iter(WHY_LEFT_OUT))
    write_tables(at, LEFT_OUT, [pa.table({"item_id": ["gone", "odd"], "why": [reason, "a later reason"]})])
    write_interactions(at, *(np.array(column) for column in ([0, 0, 1], [3, 1, 2], [1, 2, 3], [0, 0, 0])))
    record = Record(address="catalog/shop/1", config={}, inputs={}, counts={"items": 4, "users": 2}, files=at.sizes())
    write_record(at, record)
    return Catalog.read(at)


def test_items_are_found_in_the_order_given(catalog):
    assert item_numbers(catalog, ["x", "B01", "x"]) == [2, 0, 2]
    assert item_numbers(catalog, ["b"], {"b": 9}) == [9]
    assert number_of(catalog) == {"B01": 0, "b02": 1, "x": 2, "0007": 3}


def test_a_users_history_is_oldest_first(catalog):
    assert history_of(catalog, "Anna") == [3, 1]
    with pytest.raises(
        DataError, match=r"user 'anna ': not in catalog/shop/1, .* 2 users.*did you mean 'Anna'\?.*--history"
    ):
        history_of(catalog, "anna ")


@pytest.mark.parametrize(("given", "near"), [("b01", "B01"), (" 7", "0007"), ("00x", "x")])
def test_only_case_blanks_and_leading_zeros_are_forgiven(catalog, given, near):
    with pytest.raises(DataError, match=f"did you mean '{near}'"):
        item_numbers(catalog, [given])


def test_an_item_that_is_near_nothing_and_one_that_was_left_out(catalog):
    with pytest.raises(DataError, match="such as 'B01', 'b02', 'x'; look at the list") as caught:
        item_numbers(catalog, ["B02x"], hint="look at the list")
    assert "did you mean" not in str(caught.value)
    reason, words = next(iter(WHY_LEFT_OUT.items()))
    with pytest.raises(DataError, match="item 'gone': catalog/shop/1 left it out: ") as caught:
        item_numbers(catalog, ["gone"])
    assert words in str(caught.value)
    assert reason in WHY_LEFT_OUT
    with pytest.raises(DataError, match="left it out: a later reason"):
        item_numbers(catalog, ["odd"])


def complete(store, address, order):
    record = Record(address=address, config={"n": order}, inputs={}, order=order)
    write_record(store.place(Address.parse(address)), record)


def test_the_newest_is_what_was_completed_last(place):
    store = Store(place)
    for order, address in enumerate(("codes/a/2", "codes/b/1", "codes/a/1"), 1):
        complete(store, address, order)
    assert newest_of(store, "codes", None) == (Address("codes", "a", "1"), 3)
    assert newest_of(store, "codes", "b") == (Address("codes", "b", "1"), 1)
    store.place(Address("codes", "a", "1")).write(RECORD, b"{")
    assert newest_of(store, "codes", None) == (Address("codes", "b", "1"), 2), "what is damaged is left aside"


def test_why_there_is_none(place):
    store = Store(place)
    with pytest.raises(ArtifactError, match="no codes here yet; run a recipe first"):
        newest_of(store, "codes", None)
    complete(store, "codes/shop/1", 1)
    with pytest.raises(ArtifactError, match="no codes of 'shopp' here; did you mean 'shop'\\?; known: shop"):
        newest_of(store, "codes", "shopp")
    store.place(Address("codes", "shop", "1")).write(RECORD, b"{")
    with pytest.raises(ArtifactError, match="no codes of 'shop' here can be read:\n"):
        newest_of(store, "codes", "shop")
    store.place(Address("codes", "shop", "1")).remove(RECORD)
    store.place(Address("codes", "shop", "1")).write("x", b"1")
    with pytest.raises(ArtifactError, match="no complete codes here yet, codes/shop/1 half made"):
        newest_of(store, "codes", None)


def test_an_address_is_where_it_lies_or_nowhere(place):
    store = Store(place)
    complete(store, "codes/shop/1", 1)
    address = Address("codes", "shop", "1")
    assert place_of(store, address) == store.place(address)
    with pytest.raises(ArtifactError, match="codes/shop/2: not in .*; did you mean 'codes/shop/1'.*unisid plan RECIPE"):
        place_of(store, Address("codes", "shop", "2"))
