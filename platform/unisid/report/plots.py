"""Pictures of searches and experiments: panels beside one another, as PNG files beside their tables."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from unisid.report import charts

Drawing = alt.ConcatChart


def drawing(
    panels: Sequence[charts.Panel], columns: int, color: Literal["shared", "independent"] = "shared"
) -> Drawing:
    """Panels in rows of so many; `color` says whether one scale of colours and one legend are for all of them."""
    whole = alt.concat(*panels, columns=columns).resolve_scale(color=color)
    assert isinstance(whole, alt.ConcatChart)
    return whole


def rows(values: Sequence[dict[str, Any]]) -> alt.Data:
    """The data of a layer."""
    return alt.Data(values=list(values))


def png(picture: Drawing) -> bytes:
    """On white."""
    return charts.picture(picture)
