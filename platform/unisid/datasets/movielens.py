"""MovieLens-100K and MovieLens-1M, in the files GroupLens publishes.

100K: u.data (user, item, rating, time; tabs), u.item (id|title|...|19 flags of genre) and u.genre. 1M: ratings.dat
and movies.dat, cells separated by '::'. Both have texts in Latin-1. Every rating is an interaction.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.artifacts.store import Place
from unisid.config import runtime
from unisid.datasets import DatasetConfig, Part, part
from unisid.datasets.columns import ids, times
from unisid.datasets.files import find, read_whole
from unisid.datasets.tabular import parse_csv, read_csv

FILES = {"100k": ("u.item", "u.data"), "1m": ("movies.dat", "ratings.dat")}
ABOUT = ["item_id", "title", "released", "released_on_video", "address"]


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Which MovieLens, and the folder it was unpacked to."""

    size: Literal["100k", "1m"] = "100k"
    """The release: the two have different files."""
    path: str = runtime("")
    """The folder that holds u.data (100k) or ratings.dat (1m)."""

    def build(self) -> "MovieLens":
        return MovieLens(self)


class MovieLens:
    """Titles carry the year of release; genres are the only further text."""

    text: tuple[str, ...] = ("title", "genres")
    oddities: Literal["refuse", "count"] = "count"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = Place.of(config.path) if config.path else None

    def sources(self) -> dict[str, list[str]]:
        items, ratings = FILES[self.config.size]
        sources = {"items": [self._find(items)], "interactions": [self._find(ratings)]}
        return sources | ({"genres": [self._find("u.genre")]} if self.config.size == "100k" else {})

    def parts(self) -> list[Part]:
        sources = self.sources()
        return [part("items", sources["items"][0]), part("interactions", sources["interactions"][0])]

    def read(self, part: Part) -> pa.Table:
        small = self.config.size == "100k"
        if part["table"] == "items":
            return self._items_100k(part["path"]) if small else _items_1m(part["path"])
        names = ["user_id", "item_id", "rating", "timestamp"]
        rows = read_csv(part["path"], "\t", names, quoted=False) if small else _double_colons(part["path"], names)
        return pa.table(
            {
                "user_id": ids(rows["user_id"], part["path"]),
                "item_id": ids(rows["item_id"], part["path"]),
                "timestamp": times(rows["timestamp"], part["path"]),
            }
        )

    def _find(self, name: str) -> str:
        return find("catalog.dataset.path", f"{self.folder}/{name}" if self.folder else "")

    def _items_100k(self, path: str) -> pa.Table:
        genres = read_csv(self._find("u.genre"), "|", ["name", "number"], quoted=False)["name"].to_pylist()
        rows = read_csv(path, "|", ABOUT + genres, "latin-1", quoted=False)
        flags = np.stack([rows[name].to_numpy(zero_copy_only=False) == "1" for name in genres], axis=1)
        words = np.array(genres, object)
        joined = [" ".join(words[row]) for row in flags]
        return pa.table({"item_id": ids(rows["item_id"], path), "title": rows["title"], "genres": joined})


def _items_1m(path: str) -> pa.Table:
    rows = _double_colons(path, ["item_id", "title", "genres"])
    genres = pc.replace_substring(rows["genres"], "|", " ")
    return pa.table({"item_id": ids(rows["item_id"], path), "title": rows["title"], "genres": genres})


def _double_colons(path: str, names: list[str]) -> pa.Table:
    return parse_csv(read_whole(path).replace(b"::", b"\t"), path, "\t", names, "latin-1", quoted=False)
