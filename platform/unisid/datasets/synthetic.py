"""A catalogue of any size with planted structure, for tests and benchmarks: two hierarchies, neither enough alone.

Every item has a place in a hierarchy of texts (topic, subtopic), which its words show, and, independently of it, in
a hierarchy of behaviour (circle, subcircle), which no word shows. A user keeps to one subcircle and walks through
the topics in a fixed cycle: the next item is of the *next topic* and of the *same subcircle*. Over a user's history
all topics come equally often, so co-occurrence shows circles alone; texts show topics alone; to predict the next
item one needs both. `noise` of the steps go to any item, `drift` of them to another subcircle of the same circle.
N items, U users.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.bounds import Count, Range, Seed, Share
from unisid.datasets import DatasetConfig, Part, part
from unisid.errors import ConfigError
from unisid.raw.folders import Found
from unisid.raw.time_ranges import Times

USERS_PER_PART = 1 << 16
ITEMS_PER_PART = 1 << 17
DAY = 86_400
SYLLABLES = np.array([a + b for a in "bdfgklmnprstvz" for b in "aeiou"], object)
WORDS = 6
"""Number of words of one topic or subtopic."""
COMMON = 40
"""How many words say nothing."""


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """How much, and how it is arranged."""

    items: Count = 1000
    """Number of items."""
    users: Count = 2000
    """Number of users."""
    shortest: Count = 5
    """Fewest interactions of a user."""
    longest: Annotated[int, Range(1, 100_000)] = 20
    """Most interactions of a user; each length between is as likely."""
    topics: Count = 8
    """Places of the upper level of the hierarchy of texts, walked through in a cycle."""
    subtopics: Count = 4
    """Places below each topic."""
    circles: Count = 8
    """Places of the upper level of the hierarchy of behaviour."""
    subcircles: Count = 4
    """Places below each circle."""
    noise: Share = 0.1
    """Share of steps that go to any item."""
    drift: Share = 0.1
    """Share of steps that go to any subcircle of the user's circle."""
    ties: Share = 0.0
    """Share of steps that fall on the same second as the one before."""
    seed: Seed = 0
    """Decides everything that is drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest < self.shortest:
            raise ConfigError(f"dataset: longest {self.longest} is below shortest {self.shortest}")

    def build(self) -> "Synthetic":
        return Synthetic(self)


class Synthetic:
    """Drawn anew wherever it is read: a part depends on the settings and on its own range only."""

    text: tuple[str, ...] = ("title", "description")
    anomalies: Literal["refuse", "count"] = "refuse"
    times: Times = Times()

    def __init__(self, config: Config) -> None:
        self.config = config

    def sources(self) -> dict[str, list[Found]]:
        return {}

    def parts(self) -> list[Part]:
        items, users = self.config.items, self.config.users
        return [
            *(part("items", "", a, min(a + ITEMS_PER_PART, items)) for a in range(0, items, ITEMS_PER_PART)),
            *(part("interactions", "", a, min(a + USERS_PER_PART, users)) for a in range(0, users, USERS_PER_PART)),
        ]

    def read(self, part: Part) -> pa.Table:
        rows = np.arange(part["start"], part["stop"])
        return self._items(rows) if part["table"] == "items" else self._interactions(rows)

    def at(self, part: Part, index: int) -> str:
        return f"interaction {index + 1} of users {part['start']} to {part['stop']}"

    @cached_property
    def leaves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each item's leaf of the texts and of the behaviour [N].

        Every cell (topic, subcircle) is as large as every other, give or take one item; so the two are independent.
        """
        c = self.config
        rest, behaviour = np.divmod(np.random.default_rng((c.seed, 0)).permutation(c.items), c.circles * c.subcircles)
        return rest % c.topics * c.subtopics + rest // c.topics % c.subtopics, behaviour

    def _items(self, rows: NDArray[np.int64]) -> pa.Table:
        c, rng = self.config, np.random.default_rng((self.config.seed, 1, int(rows[0])))
        leaf = self.leaves[0][rows]
        words = _words(c.topics * WORDS + c.topics * c.subtopics * WORDS + COMMON, c.seed)
        subtopics = words[c.topics * WORDS :]
        common = words[-COMMON:]
        draw = rng.integers(0, WORDS, (8, len(rows)))
        topic = leaf // c.subtopics
        of_topic = [words[topic * WORDS + d] for d in draw[:4]]
        of_leaf = [subtopics[leaf * WORDS + d] for d in draw[4:]]
        plain = [common[rng.integers(0, COMMON, len(rows))] for _ in range(4)]
        number = rows.astype(str).astype(object)
        title = _joined(of_topic[0], of_leaf[0], plain[0], number)
        description = _joined(*of_topic[1:], *of_leaf[1:], *plain[1:])
        return pa.table({"item_id": _names("i", rows), "title": title, "description": description})

    def _interactions(self, rows: NDArray[np.int64]) -> pa.Table:
        c, rng, users = self.config, np.random.default_rng((self.config.seed, 2, int(rows[0]))), len(rows)
        length = rng.integers(c.shortest, c.longest + 1, users)
        topic = rng.integers(0, c.topics, users)
        home = rng.integers(0, c.circles * c.subcircles, users)
        clock = 1_400_000_000 + rng.integers(0, 2 * 365 * DAY, users)
        item = np.empty((users, c.longest), np.int64)
        time = np.empty((users, c.longest), np.int64)
        for step in range(c.longest):
            sibling = home - home % c.subcircles + rng.integers(0, c.subcircles, users)
            circle = np.where(rng.random(users) < c.drift, sibling, home)
            item[:, step] = self._draw(rng, (topic + step) % c.topics, circle)
            clock = clock + np.where(rng.random(users) < c.ties, 0, rng.integers(1, 10 * DAY, users))
            time[:, step] = clock
        happened = np.arange(c.longest) < length[:, None]
        return pa.table(
            {
                "user_id": _names("u", np.repeat(rows, length)),
                "item_id": _names("i", item[happened]),
                "timestamp": time[happened],
            }
        )

    @cached_property
    def _cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Items sorted by cell (topic, subcircle), and where each cell starts."""
        c, (text, behaviour) = self.config, self.leaves
        cell = text // c.subtopics * (c.circles * c.subcircles) + behaviour
        order = np.argsort(cell, kind="stable")
        return order, np.searchsorted(cell[order], np.arange(c.topics * c.circles * c.subcircles + 1))

    def _draw(self, rng: np.random.Generator, topic: NDArray[np.int64], circle: NDArray[np.int64]) -> NDArray[np.int64]:
        """One item of each cell; any item where the cell is empty or noise strikes."""
        order, starts = self._cells
        cell = topic * (self.config.circles * self.config.subcircles) + circle
        size = starts[cell + 1] - starts[cell]
        anywhere = (rng.random(len(cell)) < self.config.noise) | (size == 0)
        inside = starts[cell] + (rng.random(len(cell)) * size).astype(np.int64)
        return order[np.where(anywhere, rng.integers(0, len(order), len(cell)), inside)]


def _words(count: int, seed: int) -> NDArray[np.object_]:
    """Distinct words of three syllables."""
    numbers = np.random.default_rng((seed, 3)).choice(len(SYLLABLES) ** 3, count, replace=False)
    parts = [SYLLABLES[numbers // len(SYLLABLES) ** power % len(SYLLABLES)] for power in range(3)]
    return np.asarray(parts[0] + parts[1] + parts[2], object)


def _joined(*words: NDArray[np.object_]) -> pa.Array:
    return pc.binary_join_element_wise(*(pa.array(w, pa.string()) for w in words), " ")


def _names(letter: str, numbers: NDArray[np.int64]) -> pa.Array:
    names = pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")
    return names.cast(pa.string())
