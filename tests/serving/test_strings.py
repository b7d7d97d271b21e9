"""Texts over Arrow, and their rows by a hash, beside a list and a dict."""

import numpy as np
import pyarrow as pa
import pytest

from unisid.ops.semantic_ids import spell_all
from unisid.serving.strings import CHUNK, Numbers, Spelled, Strings, numbered

TEXTS = [f"id-{number % 9000}" for number in range(CHUNK * 2 + 3)] + ["", "é", "\0"]


def test_strings_are_a_list_of_texts():
    found = Strings(pa.array([*TEXTS[:-1], None]))
    assert list(found) == [*TEXTS[:-1], ""]
    assert (len(found), found[-2], found[np.int64(3)], found[1:4]) == (len(TEXTS), "é", "id-3", TEXTS[1:4])
    with pytest.raises(IndexError):
        found[len(TEXTS)]


@pytest.mark.parametrize("texts", [TEXTS, ["one"], [], ["same"] * 5])
def test_numbers_are_a_dict(texts):
    found, expected = (
        Numbers(Strings(pa.array(texts, pa.string())), *numbered(texts)),
        {t: n for n, t in enumerate(texts)},
    )
    for text in [*texts, "id-9001", "gone", "\ud800", ""]:
        assert found.get(text) == expected.get(text)
        assert (text in found) == (text in expected)
    assert len(found) == len(texts)
    assert (3 in found, found.get(None, -7)) == (False, -7)
    with pytest.raises(KeyError):
        found["gone"]


def test_semantic_ids_are_spelled_when_they_are_read():
    codes = np.array([[0, 12], [3, 4], [255, 0]], np.int32)
    assert [*Spelled(codes)] == spell_all(codes) == Spelled(codes)[0:3]
