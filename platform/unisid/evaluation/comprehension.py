"""What a language model has learned of its index by heart: title -> semantic id and back, for items that it was taught.

TS-Rec's figure 5, by beams of 5. The items are those whose titles training shows: a measure of memory, not of
recommendation. n items.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json
from unisid.ops.prompts import clean
from unisid.progress import Progress
from unisid.serving.recommender import Recommender

BEAM = 5
ITEMS_PER_PART = 256


class TitleAsker:
    """A worker's step: a range of the drawn items -> how many of them are known each way."""

    def __init__(self, places: Mapping[str, Place], pool: Pool, items: Int[np.ndarray, " n"]) -> None:
        self.recommender = Recommender.load(places["model"], places["codes"], places["catalog"], pool.device(), places)
        self.titles = [clean(title or "") for title in Catalog.read(places["catalog"]).titles.to_pylist()]
        self.items = items

    def __call__(self, part: pa.Table) -> pa.Table:
        items = self.items[part["start"][0].as_py() : part["stop"][0].as_py()]
        titles = [self.titles[item] for item in items]
        width = min(BEAM, len(self.titles))
        named, _ = self.recommender.find(titles, 1, width)
        said = [clean(title) for title in self.recommender.title_of(items, BEAM)]
        # An item of the very same title is as right: the question fits both.
        found = sum(self.titles[answer] == title for answer, title in zip(named[:, 0], titles, strict=True))
        right_titles = sum(answer == title for answer, title in zip(said, titles, strict=True))
        return pa.table({"items": [len(items)], "title_to_sid": [found], "sid_to_title": [right_titles]})


def comprehension(job: Job[Any], places: Mapping[str, Place], pool: Pool, most: int, seed: int) -> Json:
    """The share of items whose semantic id the model answers to their title, and whose title to their semantic id.

    Args:
        most: items that are asked, drawn by seed from those that have a title.

    Raises:
        ConfigError: the model is no language model.
    """
    titled = [n for n, title in enumerate(Catalog.read(places["catalog"]).titles.to_pylist()) if clean(title or "")]
    items = np.sort(np.random.default_rng(seed).permutation(np.array(titled, np.int64))[:most])
    parts: list[Part] = [
        {"start": start, "stop": min(start + ITEMS_PER_PART, len(items))}
        for start in range(0, len(items), ITEMS_PER_PART)
    ]
    counts = np.zeros(3, np.int64)
    progress = Progress(job.report, len(items), "items", of="titles")
    for table in job.compute.map(parts, Step(functools.partial(TitleAsker, places, pool, items), pool)):
        row = [table[name][0].as_py() for name in ("items", "title_to_sid", "sid_to_title")]
        counts += row
        progress.advance(row[0])
    count = max(1, int(counts[0]))
    return {"items": int(counts[0]), "title_to_sid": counts[1] / count, "sid_to_title": counts[2] / count}
