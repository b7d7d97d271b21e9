"""Some users' histories beside what is recommended to them, by title."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Place
from unisid.report import facts
from unisid.report.tables import cut

USERS, SHOWN = 3, 10
"""How many users, and the most titles of a history or a list."""


@dataclass(frozen=True)
class Example:
    """One test sample."""

    user: str
    history: list[str]
    """Titles of the last items, oldest first."""
    target: str
    """The title of what the user took next."""
    recommended: list[str]
    """Titles, best first."""
    place: int | None
    """Which of the recommended the target is, from 1; None where it is not among them."""


def examples(places: Mapping[str, Place]) -> list[Example]:
    """Test samples spread evenly over the catalogue's users; none where there are no lists or too many titles."""
    known = facts.records(places)
    if "metrics" not in known or "catalog" not in known:
        return []
    catalog = Catalog(places["catalog"], known["catalog"])
    metrics = Metrics(places["metrics"], known["metrics"])
    listed = metrics.listed()
    if listed is None or catalog.num_items > facts.CODES_READ:
        return []
    rows = catalog.samples(TEST, metrics.test_samples)
    if len(rows) != len(listed):
        return []
    chosen = np.unique(np.linspace(0, len(rows) - 1, USERS + 2).astype(np.int64)[1:-1])
    ids, titles, users = catalog.item_ids.to_pylist(), catalog.titles.to_pylist(), catalog.user_ids.to_pylist()
    named = [cut(title or item_id) for title, item_id in zip(titles, ids, strict=True)]
    found = []
    for sample in chosen.tolist():
        row = int(rows[sample])
        target, items = int(catalog.item[row]), [int(item) for item in listed[sample] if item >= 0]
        place = items.index(target) + 1 if target in items else None
        history = [named[item] for item in catalog.past(rows[[sample]])[0][-SHOWN:].tolist()]
        found.append(
            Example(users[catalog.user[row]], history, named[target], [named[i] for i in items][:SHOWN], place)
        )
    return found
