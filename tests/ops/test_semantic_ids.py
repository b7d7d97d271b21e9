"""A semantic id has one spelling, which can be read back."""

import numpy as np
import pytest

from unisid.errors import ConfigError, DataError
from unisid.ops.semantic_ids import parse, spell, spell_all, token, tokens


def test_levels_are_letters():
    assert token(0, 12) == "<a_12>"
    assert token(25, 0) == "<z_0>"
    assert tokens((2, 3)) == ["<a_0>", "<a_1>", "<b_0>", "<b_1>", "<b_2>"]


def test_more_levels_than_letters_are_refused():
    with pytest.raises(ConfigError, match="level 26 has no letter; at most 26"):
        spell(range(27))


def test_many_spell_as_one_by_one():
    codes = np.random.default_rng(0).integers(0, 300, (50, 4))
    assert spell_all(codes) == [spell(row) for row in codes]
    assert spell_all(codes[:0]) == []


def test_a_spelled_id_is_read_back():
    assert spell((12, 7, 200)) == "<a_12><b_7><c_200>"
    assert parse("<a_12><b_7><c_200>") == parse("12,7,200") == parse("12-7-200") == (12, 7, 200)
    assert parse("<a_3>") == parse("3") == (3,)


@pytest.mark.parametrize("text", ["", "<b_1>", "<a_1><c_2>", "<a_1> <b_2>", "1,,2", "a", "<a_-1>", "<a_01>", "<a_١>"])
def test_anything_else_is_refused(text):
    with pytest.raises(DataError, match="must look like"):
        parse(text)
