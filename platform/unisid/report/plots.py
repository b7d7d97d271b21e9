"""The style of the plots of searches and experiments, by matplotlib without a screen, and their bytes as PNG."""

import io

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from unisid.report.colors import INK, PALETTE, REST

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


@mpl.rc_context(STYLE)
def png(figure: Figure) -> bytes:
    """On white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", bbox_inches="tight")
    return buffer.getvalue()
