"""Words of options that are read by hand."""

import pytest

from unisid.cli.options import at_most_one, count, one_of, several


def test_several_words_are_read_one_by_one():
    seeds = several(int, "SEED")
    assert seeds.instance_from_str(["3", "4"]) == (3, 4)
    assert seeds.str_from_instance((3, 4)) == ["3", "4"]
    with pytest.raises(ValueError, match="no SEED is given; give one or more"):
        seeds.instance_from_str([])


@pytest.mark.parametrize("word", ["0", "-1", "x", "", "1.5"])
def test_a_count_is_a_number_from_1_up(word):
    assert count("12") == 12
    with pytest.raises(ValueError, match="must be a number from 1 up"):
        count(word)


def test_one_word_may_be_left_out():
    recipe = at_most_one("RECIPE")
    assert [recipe.instance_from_str(words) for words in ([], ["demo"])] == ["", "demo"]
    assert [recipe.str_from_instance(name) for name in ("", "demo")] == [[], ["demo"]]
    with pytest.raises(ValueError, match="a b are 2 words; must be one RECIPE"):
        recipe.instance_from_str(["a", "b"])


def test_one_of_some_words():
    noun = one_of(["codes", "model"])
    assert noun.choices == ("codes", "model")
    assert noun.instance_from_str(["codes"]) == "codes"
