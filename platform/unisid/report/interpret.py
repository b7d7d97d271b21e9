"""What prefixes of semantic ids mean: the labels of their items, and the users that their items share.

N items, P prefixes, C labels, M items shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from unisid.ops.keywords import named_groups
from unisid.ops.semantic_ids import spell
from unisid.report.charts import Panel, panel
from unisid.report.colors import PALETTE, REST
from unisid.report.plots import Drawing, drawing, rows

PREFIXES = 10
ITEMS = 60
SIBLINGS = 3
"""Second codes under one first code that are shown side by side."""
NAME = 40
"""Letters of a label that are shown."""


def name_labels(titles: Sequence[str], labels: NDArray[np.int64]) -> list[str]:
    """Each label by the keywords of its titles."""
    return [name or f"label {label}" for label, name in enumerate(named_groups(titles, labels))]


def labels_of_prefixes(
    codes: NDArray[np.int32], labels: NDArray[np.int64], names: Sequence[str], source: str
) -> Drawing:
    """The labels of the largest first-level prefixes, and of the second-level ones inside the largest (thesis, 6.5).

    Args:
        source: what the labels are, for the title.
    """
    largest = int(np.bincount(codes[:, 0]).argmax())
    inside = codes[:, 0] == largest
    parts = (
        Part(codes[:, 0], labels, (), f"first codes; labels: {source}"),
        Part(codes[inside, 1], labels[inside], (largest,), f"second codes under {spell((largest,))}"),
    )
    seen = Counter(label for part in parts for label in part.labels[np.isin(part.codes, part.chosen)].tolist())
    colors = {label: PALETTE[place] for place, (label, _) in enumerate(seen.most_common(len(PALETTE)))}
    return drawing([_stack(part, colors, names) for part in parts], columns=2)


@dataclass(frozen=True)
class Part:
    """Items with their code and label, under a prefix."""

    codes: NDArray[np.int32]
    labels: NDArray[np.int64]
    prefix: tuple[int, ...]
    title: str

    @property
    def chosen(self) -> NDArray[np.int32]:
        """The codes of most items, the largest first."""
        found, counts = np.unique(self.codes, return_counts=True)
        return found[np.argsort(-counts, kind="stable")][:PREFIXES]


def _stack(part: Part, colors: Mapping[int, str], names: Sequence[str]) -> Panel:
    """Which share of each code's items has which label; labels without a colour are the others."""
    shown = [*colors, -1]
    called = [names[label][:NAME] if label >= 0 else "others" for label in shown]
    shares = []
    for order, label in enumerate(shown):
        matches = part.labels == label if label >= 0 else ~np.isin(part.labels, list(colors))
        for code in part.chosen:
            inside = part.codes == code
            share = float((matches & inside).sum() / inside.sum())
            spelled = spell((*part.prefix, int(code)))
            shares.append({"code": spelled, "share": share, "label": called[order], "order": order})
    codes = [spell((*part.prefix, int(code))) for code in part.chosen]
    bars = alt.Chart(rows(shares)).mark_bar()
    bars = bars.encode(
        x=alt.X("share:Q").stack("zero").title("share of items").scale(domain=[0, 1]),
        y=alt.Y("code:N").sort(codes).title(None),
        color=alt.Color("label:N", scale=alt.Scale(domain=called, range=[*colors.values(), REST])).title(None),
        order="order:O",
    )
    return panel([bars], part.title).properties(height=22 * len(codes) + 10)


def shared_users(codes: NDArray[np.int32], users: NDArray[np.int64], items: NDArray[np.int64]) -> Drawing:
    """|U_i and U_j| of items in the order of their semantic ids (thesis, 6.6): of the largest first-level prefix, with
    lines between second codes; of the largest sibling prefixes of two codes; and of items of other first codes."""
    ones = np.ones(len(items), np.float32)
    users_of = sparse.csr_matrix((ones, (items, users)), shape=(len(codes), int(users.max(initial=0)) + 1))
    order = np.lexsort(codes.T[::-1])
    prefix = int(np.bincount(codes[:, 0]).argmax())
    own = order[codes[order, 0] == prefix][:ITEMS]
    sisters = _siblings(codes, order)
    others = order[codes[order, 0] != prefix]
    mixed = others[np.linspace(0, len(others) - 1, min(ITEMS, len(others))).astype(int)] if len(others) else others
    shared = []
    for chosen in (own, sisters, mixed):
        matrix = np.asarray((users_of[chosen] @ users_of[chosen].T).todense())
        np.fill_diagonal(matrix, 0)
        shared.append(matrix)
    top = max([1.0, *(float(np.quantile(matrix, 0.99)) for matrix in shared if matrix.size)])
    bounds = [
        (np.flatnonzero(np.diff(codes[chosen, 1])) + 1).tolist() if codes.shape[1] > 1 else []
        for chosen in (own, sisters)
    ]
    titles = (
        f"{len(own)} items under {spell((prefix,))}",
        f"{len(sisters)} items under {_named(codes[sisters])}",
        f"{len(mixed)} items of other first codes",
    )
    panels = [_matrix(*each, top) for each in zip(shared, (*bounds, []), titles, strict=True)]
    return drawing(panels, columns=3)


def _matrix(matrix: NDArray[np.float32], bounds: Sequence[int], title: str, top: float) -> Panel:
    """A square of cells, the first row on top, with white lines before the rows and columns of `bounds`."""
    size = len(matrix)
    cells = [
        {"x": x, "x2": x + 1, "y": y, "y2": y + 1, "users": float(value)} for (y, x), value in np.ndenumerate(matrix)
    ]
    scale = alt.Scale(domain=[0, size], nice=False)
    x, y = alt.X("x:Q", axis=None, scale=scale), alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[size, 0], nice=False))
    color = alt.Color("users:Q").scale(scheme="viridis", domain=[0, top], clamp=True).title("users in common")
    lines = alt.Chart(rows([{"x": bound, "y": bound} for bound in bounds])).mark_rule(color="white", strokeWidth=0.5)
    layers = [
        alt.Chart(rows(cells)).mark_rect(strokeWidth=0).encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=color),
        lines.encode(x=x),
        lines.encode(y=y),
    ]
    return panel(layers, title).properties(width=260, height=260)


def _named(codes: NDArray[np.int32]) -> str:
    """First code and second codes of siblings."""
    if not len(codes):
        return "siblings: none"
    seconds = ", ".join(map(str, np.unique(codes[:, 1])))
    return f"{spell((int(codes[0, 0]),))}, second codes {seconds}"


def _siblings(codes: NDArray[np.int32], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Items of the largest prefixes of two codes under one first code, in order: that where the second of them has
    most; none where no first code has two second ones."""
    if codes.shape[1] < 2:
        return order[:0]
    pairs, sizes = np.unique(codes[:, :2], axis=0, return_counts=True)
    by_first: dict[int, list[tuple[int, int]]] = {}
    for (first, second), size in zip(pairs.tolist(), sizes.tolist(), strict=True):
        by_first.setdefault(first, []).append((size, second))
    ranked = {first: sorted(found, reverse=True) for first, found in by_first.items() if len(found) > 1}
    if not ranked:
        return order[:0]
    first = max(ranked, key=lambda code: (ranked[code][1][0], -code))
    shown = []
    for _, second in sorted(ranked[first][:SIBLINGS], key=lambda each: each[1]):
        inside = (codes[order, 0] == first) & (codes[order, 1] == second)
        shown.append(order[inside][: ITEMS // SIBLINGS])
    return np.concatenate(shown)
