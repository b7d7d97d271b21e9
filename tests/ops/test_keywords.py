"""Keywords beside their slow twin, and prefixes named by them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.references.keywords import telling
from unisid.ops import keywords


def test_a_prefix_has_the_words_that_its_items_share_and_others_lack():
    texts = ["red shoe", "red sandal", "red boot", "red sock", "blue lamp", "blue light", "blue candle", "blue torch"]
    codes = np.array([[0, n] for n in range(4)] + [[1, n] for n in range(4)], np.int32)
    assert keywords.names(codes, texts) == {(0,): "red", (1,): "blue"}


def test_a_longer_prefix_is_named_against_the_one_before_it():
    texts = [*("garden lamp oak",) * 4, *("garden lamp steel",) * 4, *("kitchen knife",) * 4]
    codes = np.array([[0, 0, n] for n in range(4)] + [[0, 1, n] for n in range(4)] + [[1, 0, n] for n in range(4)])
    found = keywords.names(codes.astype(np.int32), texts)
    assert found[(0,)] == "garden lamp"
    assert (found[(0, 0)], found[(0, 1)]) == ("oak", "steel")
    assert all(len(prefix) < 3 for prefix in found), "the last level's items are listed by title"
    assert set(keywords.names(codes.astype(np.int32), texts, levels=1)) == {(0,), (1,)}


def test_what_one_item_alone_has_names_nothing_and_few_items_have_no_name():
    codes = np.array([[0, n] for n in range(4)] + [[1, n] for n in range(3)], np.int32)
    texts = ["alpha", "beta", "gamma", "delta", "one thing", "one thing", "one thing"]
    assert keywords.names(codes, texts) == {}


def test_only_items_with_a_text_at_hand_count():
    codes = np.array([[0, n] for n in range(8)], np.int32)
    codes[1::2, 0] = 1
    texts = ["red hat", "blue cap"] * 4
    assert keywords.names(codes, texts[:6]) == {}
    assert keywords.names(codes, texts) == {(0,): "hat red", (1,): "blue cap"}
    assert keywords.names(codes, []) == {}


def test_an_article_names_nothing():
    codes = np.array([[n // 4, n] for n in range(8)], np.int32)
    assert keywords.names(codes, ["the shadow", "the mask", "the net", "speed"] + ["drop zone"] * 4) == {
        (1,): "drop zone"
    }


def test_words_that_all_items_have_name_nothing():
    codes = np.array([[n // 20, n] for n in range(40)], np.int32)
    texts = [f"the {'old' if n % 20 == 3 else 'new'} {'pen' if n < 20 else 'ink'}" for n in range(40)]
    assert keywords.names(codes, texts) == {(0,): "pen", (1,): "ink"}


def test_without_a_keyword_the_best_word_that_items_share_names_a_prefix():
    """One of two items of twenty; of a prefix whose items share none, or what all others have too, there is no name."""
    rare = ["pearl ring", "pearl pin"] + [f"{chr(97 + n) * 4} {chr(97 + n) * 5}" for n in range(18)]
    strange = [f"{chr(97 + n) * 6} {chr(97 + n) * 7}" for n in range(20)]
    codes = np.array([[n // 20, n] for n in range(40)], np.int32)
    assert keywords.names(codes, rare + strange) == {(0,): "pearl"}
    assert keywords.names(codes, [f"{text} item" for text in rare + strange]) == {(0,): "pearl"}


WORDS = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron", "ivory"]
texts_of_words = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), st.integers(-1, 3)), min_size=1, max_size=30
)


def bags(texts):
    """The terms of texts, the slow way."""
    words = [text.split() for text in texts]
    return [set(own) | {f"{a} {b}" for a, b in itertools.pairwise(own)} for own in words]


@given(texts_of_words)
def test_keywords_are_their_slow_twins(rows):
    texts, groups = [text for text, _ in rows], np.array([group for _, group in rows])
    expected = telling(bags(texts), groups.tolist())
    for group, own in enumerate(keywords.keywords(keywords.terms_of(texts), groups, 4)):
        wanted = expected.get(group, [])[:15]
        assert [term for term, _ in wanted] == list(own.terms)
        inside = [bag for bag, g in zip(bags(texts), groups, strict=True) if g == group]
        shares = [sum(term in bag for bag in inside) / len(inside) for term in own.terms]
        assert own.coverage == pytest.approx(np.mean(shares) if shares else 0.0)


@given(texts_of_words, st.randoms(use_true_random=False))
def test_neither_the_order_of_items_nor_the_names_of_codes_change_a_keyword(rows, random):
    order = random.sample(range(len(rows)), len(rows))
    renamed = random.sample(range(4), 4)
    texts, groups = [text for text, _ in rows], np.array([group for _, group in rows])
    plain = keywords.keywords(keywords.terms_of(texts), groups, 4, fewest=3)
    moved_groups = np.array([renamed[groups[n]] if groups[n] >= 0 else -1 for n in order])
    moved = keywords.keywords(keywords.terms_of([texts[n] for n in order]), moved_groups, 4, fewest=3)
    assert [moved[renamed[group]] for group in range(4)] == plain


def test_a_brand_is_no_keyword_of_its_items_and_its_whole_name_is_nobodys():
    texts = ["Acme steel pan", "Acme steel pot", "Lodge iron pan", "Lodge iron pot", "acme cover", "acme cover"]
    brands = ["Acme", "ACME", "Lodge", "Lodge Works", "", ""]
    groups = np.array([0, 0, 1, 1, 2, 2])
    found = keywords.keywords(keywords.terms_of(texts, brands), groups, 3)
    assert [own.terms[0] for own in found] == ["steel", "iron", "cover"]
    assert not {"acme", "lodge"} & {word for own in found for term in own.terms for word in term.split()}


def test_a_group_of_few_keywords_is_given_common_words_and_one_without_items_none():
    texts = ["oak table lamp", "brass lamp", "desk lamp", "glass lamp"]
    found = keywords.keywords(keywords.terms_of(texts), np.array([0, 1, 1, 3]), 5, fewest=3)
    assert [len(own.terms) for own in found] == [3, 3, 0, 3, 0]
    assert found[1].terms[0] == "lamp"
    assert found[1].coverage == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert found[2].coverage == found[4].coverage == 0


def test_numbers_units_and_words_of_grammar_are_no_terms():
    assert keywords.words_of("The 12-inch pan, 3 pieces for you: 500ml") == ["pan"]
    assert keywords.terms_of(["lord of the rings\nfantasy"]).names == ["fantasy", "lord", "rings", "lord rings"]


def test_one_prefix_is_named_without_a_look_at_the_others():
    """As the whole tree is, for any prefix."""
    rng = np.random.default_rng(0)
    codes = np.stack([np.arange(60) // 20, np.arange(60) // 5 % 4, np.arange(60)], 1).astype(np.int32)
    texts = [f"{WORDS[a]} {WORDS[4 + b]} {rng.choice(WORDS)}" for a, b, _ in codes]
    whole = keywords.names(codes, texts)
    assert len(whole) > 6

    class Index:
        def __init__(self):
            self.codes = codes

        def find(self, prefix):
            return np.flatnonzero((codes[:, : len(prefix)] == np.array(prefix, int)).all(1))

    for before in [(), *((a,) for a in range(3))]:
        below = {prefix: name for prefix, name in whole.items() if prefix[:-1] == before}
        assert keywords.names_below(before, Index(), texts) == below
    assert keywords.names_below((0, 0, 0), Index(), texts) == {}


def test_groups_without_prefixes_are_named_too():
    texts = ["red hat", "red cap", "blue pen", "blue ink", "odd"]
    assert keywords.named_groups(texts, np.array([0, 0, 1, 1, 2])) == ["red", "blue", ""]
