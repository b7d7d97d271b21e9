"""The report's explorer: the tree of semantic ids with its items' titles, as data that `page.js` opens on demand.

What the page holds is bounded twice, in items and in bytes, whatever the catalogue's size; what is left out is said.
"""

import json
from collections.abc import Mapping

import numpy as np

from unisid.artifacts.store import Place
from unisid.printable import printable
from unisid.report import facts

ITEMS = 100_000
"""Items in the explorer, at most."""
BYTES = 8 << 20
"""Bytes of the explorer's data, at most."""
LETTERS = 160
"""Letters of a title, at most."""


def explorer(places: Mapping[str, Place]) -> str:
    """The section's markup, or nothing where there are no codes."""
    found = facts.index(places, ITEMS)
    if found is None or not found.titles:
        return ""
    rows = _fitting(found)
    shown = f"It holds all {found.num_items:,} items."
    if len(rows) < found.num_items:
        shown = (
            f"It holds {len(rows):,} of {found.num_items:,} items, a fair sample; the others are left out to keep "
            "this page small. <code>unisid items</code> knows all of them."
        )
    return (
        f"<p>The tree of semantic ids: open a prefix to see what its items have in common. {shown}</p>"
        '<input id="search" type="search" autocomplete="off" spellcheck="false" '
        'placeholder="A title, or a prefix: 12,7" aria-label="Search the items by title or semantic id">'
        '<div id="tree" tabindex="0" role="region" aria-label="Items by semantic id" aria-live="polite">'
        "<noscript>This part needs JavaScript.</noscript></div>"
        f'<script type="application/json" id="items">[{",".join(rows)}]</script>'
    )


def _fitting(found: facts.Index) -> list[str]:
    """As many of the first items as fit, each as '[code, ..., "title"]' that is inert in markup, by semantic id."""
    codes = found.codes[: len(found.titles)]
    rows = [
        json.dumps([*row, cut(printable(title))], ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        for row, title in zip(codes.tolist(), found.titles, strict=True)
    ]
    ends = np.cumsum([len(row.encode()) + 1 for row in rows])
    kept = int(np.searchsorted(ends, BYTES, side="right"))
    return [rows[item] for item in np.lexsort(codes[:kept].T[::-1]).tolist()]


def cut(title: str) -> str:
    """A title that is not too long; what is cut ends in '…'."""
    return title if len(title) <= LETTERS else title[: LETTERS - 1].rstrip() + "…"
