"""Prefixes named by the words that their items share."""

import numpy as np

from unisid.report import prefixes


def test_a_prefix_has_the_words_that_its_items_share_and_others_lack():
    texts = ["red shoe", "red sandal", "red boot", "red sock", "blue lamp", "blue light", "blue candle", "blue torch"]
    codes = np.array([[0, n] for n in range(4)] + [[1, n] for n in range(4)], np.int32)
    assert prefixes.names(codes, texts) == {(0,): "red", (1,): "blue"}


def test_a_longer_prefix_is_named_against_the_one_before_it():
    texts = [*("garden lamp oak",) * 4, *("garden lamp steel",) * 4, *("kitchen knife",) * 4]
    codes = np.array([[0, 0, n] for n in range(4)] + [[0, 1, n] for n in range(4)] + [[1, 0, n] for n in range(4)])
    found = prefixes.names(codes.astype(np.int32), texts)
    assert found[(0,)] == "garden lamp"
    assert (found[(0, 0)], found[(0, 1)]) == ("oak", "steel")
    assert all(len(prefix) < 3 for prefix in found), "the last level's items are listed by title"
    assert set(prefixes.names(codes.astype(np.int32), texts, levels=1)) == {(0,), (1,)}


def test_what_one_item_alone_has_names_nothing_and_few_items_have_no_name():
    codes = np.array([[0, n] for n in range(4)] + [[1, n] for n in range(3)], np.int32)
    texts = ["alpha", "beta", "gamma", "delta", "one thing", "one thing", "one thing"]
    assert prefixes.names(codes, texts) == {}


def test_only_items_with_a_text_at_hand_count():
    codes = np.array([[0, n] for n in range(8)], np.int32)
    codes[1::2, 0] = 1
    texts = ["red hat", "blue cap"] * 4
    assert prefixes.names(codes, texts[:6]) == {}
    assert prefixes.names(codes, texts) == {(0,): "hat red", (1,): "blue cap"}
    assert prefixes.names(codes, []) == {}


def test_an_article_names_nothing():
    codes = np.array([[n // 4, n] for n in range(8)], np.int32)
    assert prefixes.names(codes, ["the shadow", "the mask", "the net", "speed"] + ["drop zone"] * 4) == {
        (1,): "drop zone"
    }


def test_words_that_all_items_have_name_nothing():
    codes = np.array([[n // 20, n] for n in range(40)], np.int32)
    texts = [f"the {'old' if n % 20 == 3 else 'new'} {'pen' if n < 20 else 'ink'}" for n in range(40)]
    assert prefixes.names(codes, texts) == {(0,): "pen", (1,): "ink"}
