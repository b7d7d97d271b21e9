"""Panels beside one another, as a picture."""

import altair as alt
import pytest

from unisid.report import plots
from unisid.report.charts import panel


def dots(title, values):
    base = alt.Chart(plots.rows([{"x": value} for value in values]))
    return panel([base.mark_circle().encode(x="x:Q")], title)


def test_a_picture_is_a_png():
    picture = plots.drawing([dots("a", [1, 2]), dots("b", [3])], columns=2)
    assert plots.png(picture)[:4] == b"\x89PNG"


@pytest.mark.parametrize("color", ["shared", "independent"])
def test_panels_are_in_rows_and_share_colours_or_not(color):
    found = plots.drawing([dots("a", [1]), dots("b", [2]), dots("c", [3])], columns=2, color=color).to_dict()
    assert [each["title"] for each in found["concat"]] == ["a", "b", "c"]
    assert (found["columns"], found["resolve"]) == (2, {"scale": {"color": color}})
