"""Plots as matplotlib figures, drawn without a screen, and their bytes: PNG for trackers, SVG for the report.

An SVG takes its ink from the page (currentColor), so one drawing serves light and dark. N items, D width, L levels.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unisid import legend
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.printable import printable

INK = "#1b2431"
PALETTE = ("#1f9e89", "#e3913a", "#6b7fd7", "#c9506b", "#8aa345", "#a066c2", "#3fa7d6", "#b08b57", "#d977a8", "#5d8a66")
REST = "#98a2b3"
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": REST,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "font.size": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "figure.dpi": 120,
}


CURVES = {
    ("model", "valid_score"): "NDCG@10",
    ("baseline", "valid_score"): "NDCG@10",
    ("codes", "valid_score"): "collisions, then error",
}
"""What lies on the curves' upright axis, where it is no loss."""


@mpl.rc_context(STYLE)
def loss_curves(curves: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> Figure | None:
    """One panel a stage and quantity: the training loss, and what validation went by."""
    panels = [
        (noun, name, points)
        for noun, series in curves.items()
        for name, points in series.items()
        if name in ("loss", "valid_score") and len(points) > 1
    ]
    if not panels:
        return None
    width = min(3, len(panels))
    figure, axes = _panels((len(panels) - 1) // width + 1, width, 2.9, 2.1)
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, (noun, name, points) in zip(axes, panels, strict=False):
        steps, values = zip(*points, strict=True)
        known = legend.figure(noun, name)
        axis.plot(steps, values, color=PALETTE[int(name != "loss")], linewidth=1.4)
        if name == "valid_score" and known is not None:
            best = max(points, key=lambda point: point[1] if known.better == "up" else -point[1])
            axis.plot(*best, marker="o", markersize=4, color=INK)
            axis.annotate(f"best {best[1]:.4g}", best, textcoords="offset points", xytext=(4, 4), fontsize=7)
        words = "validation score" if name == "valid_score" else "training loss"
        axis.set_title(f"{noun}: {words}, {'higher' if known and known.better == 'up' else 'lower'} is better")
        axis.set_xlabel("optimizer step")
        axis.set_ylabel(CURVES.get((noun, name), "loss"))
        axis.locator_params(nbins=5)
    return figure


@mpl.rc_context(STYLE)
def level_usage(codes: NDArray[Any], sizes: Sequence[int]) -> Figure:
    """How evenly each level's codes are used: items a code, fullest first; dashed, equal use."""
    figure, axes = _panels(1, len(sizes), 2.3, 2.1)
    for level, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        counts = np.sort(np.bincount(codes[:, level], minlength=size))[::-1]
        axis.fill_between(np.arange(size), counts, step="mid", color=PALETTE[0], alpha=0.75, linewidth=0)
        axis.axhline(len(codes) / size, color=PALETTE[1], linewidth=1, linestyle="--")
        axis.set_title(f"level {level + 1}: {int((counts > 0).sum())} of {size} used")
        axis.set_xlabel("code, fullest first")
        axis.set_xlim(-0.5, size - 0.5)
    axes[0].set_ylabel("items")
    return figure


@mpl.rc_context(STYLE)
def prefix_map(vectors: NDArray[Any], first_codes: NDArray[Any]) -> Figure:
    """The fused vectors on their two widest directions (PCA), coloured by the first code; rarer codes are grey."""
    centred = vectors - vectors.mean(0)
    _, _, axes_of_width = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ axes_of_width[:2].T
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    figure, (axis,) = _panels(1, 1, 5.2, 4.2)
    codes, counts = np.unique(first_codes, return_counts=True)
    common = codes[np.argsort(-counts, kind="stable")][: len(PALETTE)]
    rest = ~np.isin(first_codes, common)
    axis.scatter(*flat[rest].T, s=4, color=REST, alpha=0.35, linewidths=0, rasterized=True)
    for color, code in zip(PALETTE, common, strict=False):
        dots = flat[first_codes == code]
        axis.scatter(*dots.T, s=7, color=color, alpha=0.8, linewidths=0, label=f"<a_{code}>", rasterized=True)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2, title="first code")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


@mpl.rc_context(STYLE)
def metric_bars(means: Mapping[str, Any], methods: Sequence[str], cutoffs: Sequence[int]) -> Figure:
    """HR and NDCG at a few cut-offs by method, with their 95% intervals; one row a history rule."""
    figure, axes = _panels(len(HISTORY_RULES), 2, 4.2, 2.3)
    places, width = np.arange(len(cutoffs)), 0.8 / len(methods)
    for row, rule in enumerate(HISTORY_RULES):
        for column, metric in enumerate(("HR", "NDCG")):
            axis = axes[2 * row + column]
            for number, method in enumerate(methods):
                cells = [means[method][rule][f"{metric}@{k}"] for k in cutoffs]
                heights = np.array([c["mean"] for c in cells])
                ends = np.array([[c["mean"] - c["low"] for c in cells], [c["high"] - c["mean"] for c in cells]])
                style = {"ecolor": INK, "elinewidth": 0.8, "capsize": 2}
                axis.bar(
                    places + (number - (len(methods) - 1) / 2) * width,
                    heights,
                    0.92 * width,
                    label=printable(method),
                    color=PALETTE[number % len(PALETTE)],
                    yerr=ends.clip(min=0),
                    error_kw=style,
                )
            axis.set_xticks(places, [f"@{k}" for k in cutoffs])
            axis.set_title(f"{metric}, history {rule}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods))
    return figure


@mpl.rc_context(STYLE)
def png(figure: Figure) -> bytes:
    """On white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", bbox_inches="tight")
    return buffer.getvalue()


@mpl.rc_context(STYLE)
def svg(figure: Figure, name: str) -> str:
    """To stand inside a page: transparent, in the page's own ink. `name` keeps ids of several drawings apart."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    drawing = buffer.getvalue()
    used = set(re.findall(r"#([\w-]+)[\")]", drawing))
    ids = [found for found in re.findall(r'\bid="([^"]+)"', drawing) if found in used]
    number = {found: f"{name}-{n}" for n, found in enumerate(ids)}
    drawing = re.sub(r' id="([^"]+)"', lambda m: f' id="{number[m[1]]}"' if m[1] in number else "", drawing)
    drawing = re.sub(r"#([\w-]+)(?=[\")])", lambda m: f"#{number.get(m[1], m[1])}", drawing)
    return drawing[drawing.index("<svg") :].replace(INK, "currentColor").replace("'DejaVu Sans'", "inherit")


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).reshape(-1))
