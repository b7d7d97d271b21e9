"""The report's charts: what their specifications say, that these are valid, and what is drawn of them."""

import itertools
import re
from html import unescape

import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from unisid.legend import LOSS, NDCG
from unisid.report import charts
from unisid.report.colors import INK

EVIL = '<b>x</b>\u202e\x1b"'
CELL = {"mean": 0.3, "low": 0.2, "high": 0.5}


def rows(panel, layer=0):
    """The values of a layer; the whole panel is a valid Vega-Lite specification."""
    found = panel.to_dict()
    data = found["layer"][layer].get("data", found.get("data"))
    return found["datasets"][data["name"]] if "name" in data else data["values"]


def title(panel):
    found = panel.to_dict()["title"]
    return found["text"] if isinstance(found, dict) else found


def descriptions(svg):
    marks = svg[svg.index("role-mark") :]
    return [unescape(text) for text in re.findall(r'aria-label="([^"]*)"', marks)]


def test_learning_curves_show_what_was_learned_by_over_epochs_with_the_best_marked():
    loss, score = [(10, 3.0), (20, 2.0), (30, 1.5)], [(10, 0.1), (20, 0.4), (30, 0.2)]
    model = {"loss": loss, "valid_score": score, "epoch": [(10, 1.0), (20, 2.0), (30, 3.0)], "valid_hr_10": score}
    panels = charts.learning_curves({"model": model, "graph": {"loss": loss}})
    assert [title(panel) for panel in panels] == [
        "model: training loss, lower is better",
        "model: validation, higher is better",
        "graph: training loss, lower is better",
    ]
    assert [[(row["x"], row["y"]) for row in rows(panel)] for panel in panels] == [
        [(1, 3.0), (2, 2.0), (3, 1.5)],
        [(1, 0.1), (2, 0.4), (3, 0.2)],
        [(10, 3.0), (20, 2.0), (30, 1.5)],  # no epoch was reported
    ]
    axes = [[panel.to_dict()["layer"][0]["encoding"][axis]["title"] for axis in "xy"] for panel in panels]
    assert axes == [["epoch", "loss"], ["epoch", "NDCG@10"], ["optimizer step", "loss"]]
    drawn = vl_convert.vegalite_to_svg(panels[0].to_dict())
    assert re.findall(r">([\d.]+)</text>", drawn)[:3] == ["1", "2", "3"], "there is no epoch 1.5"
    [best] = rows(panels[1], layer=2)
    assert (best["x"], best["y"], best["words"]) == (2, 0.4, "best: epoch 2, 0.4")  # the highest, not the last
    assert panels[1].to_dict()["title"]["subtitle"] == best["words"], "above the lines, not on them"
    assert all(layer["mark"]["type"] != "text" for panel in panels for layer in panel.to_dict()["layer"])


@pytest.mark.parametrize(("noun", "best"), [("codes", 3), ("fused", 3), ("model", 1), ("baseline", 1), ("joint", 1)])
def test_the_best_epoch_is_by_each_stage_s_direction(noun, best):
    falling = {"valid_score": [(1, 3.0), (2, 2.0), (3, 1.0)]}
    [panel] = charts.learning_curves({noun: falling})
    assert rows(panel, layer=2)[0]["x"] == best


@pytest.mark.parametrize(("noun", "score", "best", "unit"), [("model", LOSS, 3, "loss"), ("joint", NDCG, 1, "NDCG@10")])
def test_what_the_stage_says_decides_which_epoch_is_marked(noun, score, best, unit):
    falling = {"valid_score": [(1, 3.0), (2, 2.0), (3, 1.0)]}
    [panel] = charts.learning_curves({noun: falling}, {noun: score})
    assert rows(panel, layer=2)[0]["x"] == best
    assert panel.to_dict()["layer"][0]["encoding"]["y"]["title"] == unit
    assert title(panel) == f"{noun}: validation, {'higher' if best == 1 else 'lower'} is better"


def test_a_long_curve_is_thinned_and_its_best_is_not_lost():
    points = [(step, 1.0 + step) for step in range(10_000)]
    points[4321] = (4321, 0.5)
    [panel] = charts.learning_curves({"fused": {"valid_score": points}})
    assert len(rows(panel)) == charts.POINTS
    assert (rows(panel)[0]["x"], rows(panel)[-1]["x"]) == (0, 9999)
    assert rows(panel, layer=2)[0]["x"] == 4321


def test_no_curves_no_panels():
    assert charts.learning_curves({"model": {"loss": [(0, 1.0)], "epoch": [(0, 1.0), (1, 2.0)]}}) == []


def test_level_usage_counts_the_codes_in_use_of_the_first_levels():
    panels = charts.level_usage(np.array([[0, 1], [0, 2], [3, 2]]), (4, 8))
    assert [title(panel) for panel in panels] == ["level 1: 2 of 4 used", "level 2: 2 of 8 used"]
    assert [row["y"] for row in rows(panels[0])] == [2, 1, 0, 0]
    assert rows(panels[1], layer=1)[0]["y"] == 3 / 8
    many = charts.level_usage(np.zeros((5, 64), int), (8192,) * 64)
    assert len(many) == charts.LEVELS
    assert len(rows(many[0])) == charts.POINTS


@pytest.mark.parametrize("width", [1, 2, 6])
def test_the_map_names_the_common_codes_and_every_item(width):
    rng = np.random.default_rng(0)
    codes = np.stack([np.repeat([5, 7], [30, 10]), np.arange(40)], 1)
    titles = [EVIL, "", *(f"Thing {n}" for n in range(38))]
    [panel] = charts.prefix_map(rng.normal(size=(40, width)), codes, titles, {(5,): "star wars"})
    assert {row["code"] for row in rows(panel)} == {"<a_5> star wars", "<a_7>"}
    assert [row["text"] for row in rows(panel, layer=1)] == ["star wars"]
    assert charts.key([panel])[0] == (charts.PALETTE[0], "<a_5> star wars")
    [svg], [bare] = charts.svgs([panel]), charts.svgs([panel], legend=False)
    assert charts.KEY in svg
    assert charts.KEY not in bare
    said = descriptions(svg)
    assert "Thing 0 <a_5><b_2>" in said
    assert "no title <a_5><b_1>" in said
    assert '<b>x</b>\\u202e\\x1b" <a_5><b_0>' in said, "cleaned, and escaped in the markup"
    assert "<b>" not in svg


def test_the_map_lies_on_the_two_widest_directions():
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(50, 2)) * [9, 4]
    turned = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    vectors = np.concatenate([flat, rng.normal(size=(50, 3)) * 0.01], 1) @ turned
    [panel] = charts.prefix_map(vectors, np.zeros((50, 1), int), [f"{n:02}" for n in range(50)], {})
    found = np.array([[row["x"], row["y"]] for row in sorted(rows(panel), key=lambda row: row["text"])])
    between = lambda points: np.linalg.norm(points[:, None] - points[None], axis=2)  # noqa: E731
    ratio = between(found)[np.triu_indices(50, 1)] / between(flat)[np.triu_indices(50, 1)]
    assert ratio.std() / ratio.mean() < 0.02


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.integers(1, 30)), min_size=1, max_size=30))
def test_words_on_the_map_do_not_lie_over_one_another(places):
    """The first one has its place; every code has a word where there is room, not the ten fullest alone."""
    counts = [len(places) - n + 2 for n in range(len(places))]
    codes = np.repeat(np.arange(len(places)), counts)[:, None]
    vectors = np.array([places[code][:2] for code in codes[:, 0]])
    names = {(n,): "m" * letters for n, (_, _, letters) in enumerate(places)}
    [panel] = charts.prefix_map(vectors, codes, ["x"] * len(codes), names)
    found, scales = rows(panel, layer=1), [panel.to_dict()["layer"][1]["encoding"][axis]["scale"] for axis in "xy"]
    pixels = [
        [(row[axis] - low) / (high - low) * size for row in found]
        for axis, size, (low, high) in zip("xy", charts.MAP, (scale["domain"] for scale in scales), strict=True)
    ]
    boxes = [
        (x - 3.5 * len(row["text"]), x + 3.5 * len(row["text"]), y - 7, y + 7)
        for row, x, y in zip(found, *pixels, strict=True)
    ]
    for (left, right, low, high), (other, end, bottom, top) in itertools.combinations(boxes, 2):
        assert right <= other + 0.1 or end <= left + 0.1 or high <= bottom + 0.1 or top <= low + 0.1
    assert all(left >= -0.1 and right <= charts.MAP[0] + 0.1 for left, right, _, _ in boxes)
    assert found[0]["text"] == names[0,]


def test_far_from_one_another_every_code_has_its_word():
    codes = np.repeat(np.arange(16), 3)[:, None]
    vectors = np.stack([codes[:, 0] % 4, codes[:, 0] // 4], 1).astype(float)
    [panel] = charts.prefix_map(vectors, codes, ["x"] * 48, {(n,): f"word {n}" for n in range(16)})
    assert {row["text"] for row in rows(panel, layer=1)} == {f"word {n}" for n in range(16)}


def test_other_codes_are_grey_and_lie_below():
    codes = np.array([[n] for n in range(12) for _ in range(3 + (n < 10))])
    [panel] = charts.prefix_map(np.random.default_rng(0).normal(size=(len(codes), 3)), codes, ["x"] * len(codes), {})
    shown = [row["code"] for row in rows(panel)]
    assert shown[:6] == ["other"] * 6
    assert len(set(shown)) == 11


def test_bars_stand_at_the_means_with_their_intervals_in_the_methods_order():
    means = {m: {r: {"HR@5": CELL, "NDCG@5": CELL} for r in ("excluded", "allowed")} for m in ("z", EVIL)}
    panels = charts.metric_bars(means, ["z", EVIL], 5)
    assert [title(panel) for panel in panels] == [
        "HR@5, history excluded",
        "NDCG@5, history excluded",
        "HR@5, history allowed",
        "NDCG@5, history allowed",
    ]
    first, second = rows(panels[0])
    assert (first["method"], first["mean"], first["low"], first["high"]) == ("z", 0.3, 0.2, 0.5)
    assert second["method"] == '<b>x</b>\\u202e\\x1b"'
    svg = charts.svgs(panels)[0]
    assert "z: 0.3000, 95% interval 0.2000 to 0.5000" in descriptions(svg)
    assert "<b>" not in svg


def test_a_drawing_is_a_function_of_its_figures_and_takes_the_page_s_ink():
    def draw():
        return charts.level_usage(np.array([[0], [1]]), (2,))

    [drawing] = charts.svgs(draw())
    assert [drawing] == charts.svgs(draw())
    assert "currentColor" in drawing
    assert INK not in drawing
    assert 'id="' not in drawing, "drawings of a page must not share ids"
    assert charts.png(draw())[:4] == b"\x89PNG"
