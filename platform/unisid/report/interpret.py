"""What prefixes of semantic ids mean: the labels of their items, and the users that their items share.

N items, P prefixes, C labels, M items shown.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import sparse

from unisid.ops.keywords import named_groups
from unisid.ops.semantic_ids import spell
from unisid.report.colors import PALETTE, REST
from unisid.report.plots import STYLE

PREFIXES = 10
ITEMS = 60
SIBLINGS = 3
"""Second codes under one first code that are shown side by side."""
NAME = 40
"""Letters of a label that are shown."""


def name_labels(titles: Sequence[str], labels: NDArray[np.int64]) -> list[str]:
    """Each label by the keywords of its titles."""
    return [name or f"label {label}" for label, name in enumerate(named_groups(titles, labels))]


@mpl.rc_context(STYLE)
def labels_of_prefixes(
    codes: NDArray[np.int32], labels: NDArray[np.int64], names: Sequence[str], source: str
) -> Figure:
    """The labels of the largest first-level prefixes, and of the second-level ones inside the largest (thesis, 6.5).

    Args:
        source: what the labels are, for the title.
    """
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    largest = np.bincount(codes[:, 0]).argmax()
    inside = codes[:, 0] == largest
    panels = (
        _Panel(codes[:, 0], labels, lambda code: spell((code,))),
        _Panel(codes[inside, 1], labels[inside], lambda code: spell((int(largest), code))),
    )
    seen = Counter(label for panel in panels for label in panel.labels[np.isin(panel.codes, panel.chosen)].tolist())
    colors = {label: PALETTE[place] for place, (label, _) in enumerate(seen.most_common(len(PALETTE)))}
    for axis, panel in zip(axes, panels, strict=True):
        _stack(axis, panel, colors, names)
    axes[0].set_title(f"first codes; labels: {source}")
    axes[1].set_title(f"second codes under {spell((int(largest),))}")
    handles = {h.get_label(): h for axis in axes for h in axis.get_legend_handles_labels()[0]}
    figure.legend(list(handles.values()), list(handles), loc="outside right center", fontsize=7)
    return figure


@dataclass(frozen=True)
class _Panel:
    """Items with their code and label, and how a code is spelled."""

    codes: NDArray[np.int32]
    labels: NDArray[np.int64]
    spelled: Callable[[int], str]

    @property
    def chosen(self) -> NDArray[np.int32]:
        """The codes of most items, the largest last."""
        found, counts = np.unique(self.codes, return_counts=True)
        return found[np.argsort(-counts, kind="stable")][:PREFIXES][::-1]


def _stack(axis, panel, colors, names) -> None:  # type: ignore[no-untyped-def]
    chosen = panel.chosen
    left = np.zeros(len(chosen))
    for label in [*colors, -1]:
        matches = panel.labels == label if label >= 0 else ~np.isin(panel.labels, list(colors))
        shares = np.array([(matches & (panel.codes == code)).sum() / (panel.codes == code).sum() for code in chosen])
        name = names[label][:NAME] if label >= 0 else "others"
        axis.barh(range(len(chosen)), shares, left=left, color=colors.get(label, REST), label=name)
        left += shares
    axis.set_yticks(range(len(chosen)), [panel.spelled(int(code)) for code in chosen])
    axis.set_xlabel("share of items")
    axis.set_xlim(0, 1)
    axis.grid(visible=False)


@mpl.rc_context(STYLE)
def shared_users(codes: NDArray[np.int32], users: NDArray[np.int64], items: NDArray[np.int64]) -> Figure:
    """|U_i and U_j| of items in the order of their semantic ids (thesis, 6.6): of the largest first-level prefix, with
    lines between second codes; of the largest sibling prefixes of two codes; and of items of other first codes."""
    ones = np.ones(len(items), np.float32)
    users_of = sparse.csr_matrix((ones, (items, users)), shape=(len(codes), int(users.max(initial=0)) + 1))
    order = np.lexsort(codes.T[::-1])
    prefix = np.bincount(codes[:, 0]).argmax()
    own = order[codes[order, 0] == prefix][:ITEMS]
    sisters = _siblings(codes, order)
    others = order[codes[order, 0] != prefix]
    mixed = others[np.linspace(0, len(others) - 1, min(ITEMS, len(others))).astype(int)] if len(others) else others
    figure = Figure(figsize=(12.4, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    top = 1.0
    drawn = []
    for axis, rows in zip(axes, (own, sisters, mixed), strict=True):
        shared = np.asarray((users_of[rows] @ users_of[rows].T).todense())
        np.fill_diagonal(shared, 0)
        top = max(top, float(np.quantile(shared, 0.99)) if shared.size else 1.0)
        drawn.append(axis.imshow(shared if shared.size else np.zeros((1, 1)), cmap="viridis"))
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
    for image in drawn:
        image.set_clim(0, top)
    if codes.shape[1] > 1:
        for axis, rows in ((axes[0], own), (axes[1], sisters)):
            for place in np.flatnonzero(np.diff(codes[rows, 1])) + 0.5:
                axis.axhline(place, color="white", linewidth=0.5)
                axis.axvline(place, color="white", linewidth=0.5)
    axes[0].set_title(f"{len(own)} items under {spell((int(prefix),))}")
    axes[1].set_title(f"{len(sisters)} items under {_named(codes[sisters])}")
    axes[2].set_title(f"{len(mixed)} items of other first codes")
    figure.colorbar(drawn[0], ax=axes, shrink=0.8, label="users in common")
    return figure


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
