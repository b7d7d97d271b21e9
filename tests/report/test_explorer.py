"""The explorer's data: bounded by bytes, sorted by semantic id, and inert in markup."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.runs import write_run
from unisid.report import explorer
from unisid.report.explorer import _fit, _json


@given(st.lists(st.text(max_size=5)), st.integers(0, 40))
def test_as_many_texts_fit_as_have_so_many_bytes(texts, most):
    kept = _fit(texts, most)
    sizes = [len(text.encode()) + 1 for text in texts]
    assert sum(sizes[:kept]) <= most
    assert kept == len(texts) or sum(sizes[: kept + 1]) > most


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_json_has_no_markup_and_is_the_value(value):
    assert "<" not in _json(value)
    assert json.loads(_json(value)) == value


def test_what_is_shown_is_sorted_and_said(place):
    titles = [f"Title {number} </script>" for number in range(9)]
    section = explorer.explorer(write_run(place, titles))
    rows = json.loads(section["rows"])
    assert (section["shown"], section["num_items"]) == (9, 9)
    assert [row[:-1] for row in rows] == sorted(row[:-1] for row in rows)
    assert sorted(row[-1] for row in rows) == sorted(titles)
    assert isinstance(json.loads(section["names"]), dict)
    assert "</script" not in section["rows"]


def test_without_codes_there_is_none(place):
    assert explorer.explorer({"codes": place / "none"}) is None
    assert explorer.explorer({}) is None


@pytest.mark.parametrize("most", [0, 1, 10**9])
def test_bytes_bound_the_items(place, monkeypatch, most):
    monkeypatch.setattr(explorer, "BYTES", most)
    section = explorer.explorer(write_run(place, ["a"] * 5))
    assert section["shown"] == (5 if most > 100 else 0)
    assert np.array(json.loads(section["rows"])).shape[0] == section["shown"]
