"""A small shop in plain values, and what its catalog must say: users' items in time order, and the items' texts."""

import random
from dataclasses import dataclass, field
from fractions import Fraction

from unisid.ops.text import PLACEHOLDER

EPOCH = 1_500_000_000
WORDS = (
    "Blue pen",
    "Old lamp",
    "naïve «ink»",
    "日本 茶",
    "Desk, oak",
    'Say "so"',
    "5 pens",
    "C++ book",
    "pen & ink",
    "it's new",
)
RAW = {
    "<b>Red</b> desk": "Red desk",
    "pen &amp; pad": "pen & pad",
    "  wide \t cup ": "wide cup",
    "a&lt;br&gt;b": "a b",
    "line<br/>break": "line break",
    "x &gt; y": "x > y",
}
"""Texts as shops write them, and as they read."""


@dataclass
class World:
    """Items by number: title and description as written; interactions as (user, item, time) in the files' order."""

    titles: list[str]
    descriptions: list[str]
    rows: list[tuple[int, int, Fraction]]
    unused: set[int] = field(default_factory=set)
    """Rows that the settings leave out: of no time, or said twice."""

    @property
    def num_users(self) -> int:
        return 1 + max(user for user, _, _ in self.rows)

    def text(self, item: int, described: bool = True) -> tuple[str, str]:
        """Title and text, as the catalog has them; the title alone where it did not read descriptions."""
        title, description = (
            RAW.get(text, " ".join(text.split())) for text in (self.titles[item], self.descriptions[item])
        )
        return title, " ".join(filter(None, (title, description if described else ""))) or PLACEHOLDER

    def sequences(self) -> dict[int, list[list[int]]]:
        """Each user's items, oldest first; those of one time together, in the files' order."""
        found: dict[int, dict[Fraction, list[int]]] = {}
        for number, (user, item, time) in enumerate(self.rows):
            if number not in self.unused:
                found.setdefault(user, {}).setdefault(time, []).append(item)
        return {user: [mine[time] for time in sorted(mine)] for user, mine in found.items()}

    def taken(self) -> set[int]:
        """The items that someone took."""
        return {item for number, (_, item, _) in enumerate(self.rows) if number not in self.unused}

    def times(self) -> dict[int, list[Fraction]]:
        """Each user's times, in seconds since 1970, oldest first."""
        return {
            user: sorted(
                time for number, (whose, _, time) in enumerate(self.rows) if whose == user and number not in self.unused
            )
            for user in self.sequences()
        }


def made(chance: random.Random) -> World:
    """A world without oddities: distinct items and times within a user, every item with a title of its own."""
    items, users = chance.randint(3, 9), chance.randint(2, 6)
    titles = [f"{chance.choice(WORDS)} {number}" for number in range(items)]
    descriptions = [chance.choice([*WORDS, "", "much longer words about it"]) for _ in range(items)]
    rows = []
    for user in range(users):
        mine = chance.sample(range(items), chance.randint(1, items))
        times = sorted(chance.sample(range(10**6), len(mine)))
        rows += [(user, item, Fraction(EPOCH + time)) for item, time in zip(mine, times, strict=True)]
    chance.shuffle(rows)
    return World(titles, descriptions, rows)
