"""The report's explorer: the tree of semantic ids with its items' titles, as data that `page.js` opens on demand.

What the page holds is bounded twice, in items and in bytes, whatever the catalogue's size; what is left out is said.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from unisid.artifacts.store import Place
from unisid.ops import keywords
from unisid.report import facts
from unisid.report.tables import cut

ITEMS = 100_000
"""Items in the explorer, at most."""
BYTES = 8 << 20
"""Bytes of the explorer's items, at most."""
NAME_BYTES = 2 << 20
"""Bytes of the prefixes' names, at most; the shortest prefixes come first."""


def explorer(places: Mapping[str, Place]) -> dict[str, Any] | None:
    """The items and the names of their prefixes, as JSON for the section's template; None where there are no codes."""
    found = facts.index(places, ITEMS)
    if found is None or not found.titles:
        return None
    rows = _fitting(found)
    names = keywords.names(found.codes, facts.texts(places, min(len(rows), keywords.ITEMS)))
    named = [f"{_json(','.join(map(str, prefix)))}:{_json(cut(words))}" for prefix, words in names.items()]
    return {
        "shown": len(rows),
        "num_items": found.num_items,
        "rows": Markup(f"[{','.join(rows)}]"),
        "names": Markup(f"{{{','.join(named[: _fit(named, NAME_BYTES)])}}}"),
    }


def _fitting(found: facts.Index) -> list[str]:
    """As many of the first items as fit, each as '[code, ..., "title"]' that is inert in markup, by semantic id."""
    codes = found.codes[: len(found.titles)]
    rows = [_json([*row, cut(title)]) for row, title in zip(codes.tolist(), found.titles, strict=True)]
    kept = _fit(rows, BYTES)
    return [rows[item] for item in np.lexsort(codes[:kept].T[::-1]).tolist()]


def _fit(texts: Sequence[str], most: int) -> int:
    """How many of the first texts, with a separator each, have no more than so many bytes together."""
    return int(np.searchsorted(np.cumsum([len(text.encode()) + 1 for text in texts]), most, side="right"))


def _json(value: Any) -> str:
    """JSON that is inert in markup."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
