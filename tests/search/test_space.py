"""Spaces: dotted keys with their values, by words or by name."""

import pytest

from unisid.errors import ConfigError
from unisid.search.space import parse, ready


def test_values_come_as_words_or_as_json():
    space = parse(["codes.tokenizer.codebook-size=8, 16", "codes.tokenizer.widths=[[64, 32], [32]]"])
    assert space.dimensions == {
        "codes.tokenizer.codebook_size": ("8", "16"),
        "codes.tokenizer.widths": ([64, 32], [32]),
    }
    assert len(space.points()) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "is empty; name a setting and its values .* or a ready space: .*structure_weight"),
        (["codes.batch_size="], "'codes.batch_size' has no values"),
        (["codes.batch_size=8,8"], "takes a value twice: 8, 8"),
        (["codes.batch_size=8", "codes.batch_size=9"], "is given twice"),
        (["structure_wieght"], "is no ready space; did you mean 'structure_weight'"),
        (["codes.batch_size=[8,"], "are not JSON"),
    ],
)
def test_words_that_make_no_space(words, message):
    with pytest.raises(ConfigError, match=message):
        parse(words)


def test_the_thesis_s_grid_is_there():
    assert ready()["structure_weight"]().dimensions == {"fused.loss.structure_weight": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}
    assert ready()["temperature"]().dimensions == {"fused.loss.temperature": (0.03, 0.05, 0.07, 0.1, 0.2)}
