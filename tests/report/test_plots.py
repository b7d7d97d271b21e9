"""Plots of searches and experiments as pictures."""

from matplotlib.figure import Figure

from unisid.report import plots


def test_a_picture_is_a_png():
    figure = Figure()
    figure.subplots().plot([1, 2])
    assert plots.png(figure)[:4] == b"\x89PNG"
