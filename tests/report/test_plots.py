import numpy as np
import pytest

from unisid.report import plots


def test_loss_curves_draw_what_was_learned_by():
    points = [(0, 3.0), (1, 2.0)]
    figure = plots.loss_curves(
        {"model": {"loss": points, "valid_score": points, "epoch": points}, "graph": {"loss": points}}
    )
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == [
        "model: training loss, lower is better",
        "model: validation score, higher is better",
        "graph: training loss, lower is better",
    ]
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "NDCG@10", "loss"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["best 3"]  # the highest, not the last
    assert figure.axes[0].lines[0].get_ydata().tolist() == [3.0, 2.0]


def test_no_curves_no_figure():
    assert plots.loss_curves({"model": {"loss": [(0, 1.0)], "epoch": [(0, 1.0), (1, 2.0)]}}) is None


def test_level_usage_counts_the_codes_in_use():
    figure = plots.level_usage(np.array([[0, 1], [0, 2], [3, 2]]), (4, 8))
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["level 1: 2 of 4 used", "level 2: 2 of 8 used"]


@pytest.mark.parametrize("width", [1, 2, 6])
def test_prefix_map_names_the_common_codes(width):
    vectors = np.random.default_rng(0).normal(size=(40, width))
    figure = plots.prefix_map(vectors, np.repeat([5, 7], [30, 10]))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["<a_5>", "<a_7>"]


def test_bars_stand_at_the_means_with_their_intervals():
    cell = {"mean": 0.3, "low": 0.2, "high": 0.5}
    means = {m: {r: {"HR@5": cell, "NDCG@5": cell} for r in ("excluded", "allowed")} for m in ("a", "b")}
    axis = plots.metric_bars(means, ["a", "b"], [5]).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [0.3, 0.3]
    low, high = axis.containers[1].errorbar.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.2, 0.5))


def test_an_svg_is_a_function_of_its_figure_and_takes_the_page_s_ink():
    figure = plots.level_usage(np.array([[0], [1]]), (2,))
    drawing = plots.svg(figure, "one")
    assert drawing == plots.svg(figure, "one")
    assert "currentColor" in drawing
    assert plots.INK not in drawing
