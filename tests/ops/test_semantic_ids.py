"""A semantic id has one spelling, which can be read back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.errors import ConfigError, DataError
from unisid.ops.semantic_ids import letters, parse, spell, spell_all, token, tokens


def test_levels_are_letters():
    assert token(0, 12) == "<a_12>"
    assert token(25, 0) == "<z_0>"
    assert tokens((2, 3)) == ["<a_0>", "<a_1>", "<b_0>", "<b_1>", "<b_2>"]


def test_levels_beyond_the_letters_have_two_and_more():
    assert [letters(level) for level in (26, 27, 51, 52, 701, 702, 703)] == ["aa", "ab", "az", "ba", "zz", "aaa", "aab"]
    assert token(31, 255) == "<af_255>"
    assert tokens((1,) * 28)[-3:] == ["<z_0>", "<aa_0>", "<ab_0>"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 999_999_999), min_size=1, max_size=1000))
def test_ids_of_any_number_of_levels_are_read_back(codes):
    assert parse(spell(codes)) == tuple(codes)
    assert parse(",".join(map(str, codes))) == tuple(codes)


def test_every_level_has_letters_of_its_own():
    found = [letters(level) for level in range(2000)]
    assert len(set(found)) == 2000
    assert sorted(found, key=lambda word: (len(word), word)) == found
    with pytest.raises(ConfigError, match="level -1; must be at least 0"):
        letters(-1)


def test_many_spell_as_one_by_one():
    codes = np.random.default_rng(0).integers(0, 300, (50, 40))
    assert spell_all(codes) == [spell(row) for row in codes]
    assert spell_all(codes[:0]) == []


def test_a_spelled_id_is_read_back():
    assert spell((12, 7, 200)) == "<a_12><b_7><c_200>"
    assert parse("<a_12><b_7><c_200>") == parse("12,7,200") == parse("12-7-200") == (12, 7, 200)
    assert parse("<a_3>") == parse("3") == (3,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<b_1>",
        "<a_1><c_2>",
        "<a_1> <b_2>",
        "<aa_1>",
        "<a_1><aa_2>",
        "<A_1>",
        "<_1>",
        "1,,2",
        "a",
        "<a_-1>",
        "<a_01>",
        "<a_١>",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(DataError, match="must look like"):
        parse(text)
