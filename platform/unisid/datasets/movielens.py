"""MovieLens-100K and MovieLens-1M, in the files GroupLens publishes.

100K: u.data (user, item, rating, time; tabs), u.item (id|title|...|19 flags of genre) and u.genre. 1M: ratings.dat
and movies.dat, cells separated by '::'. Both have texts in Latin-1. Every rating is an interaction, or every good one
(catalog.least_rating).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.artifacts.store import Place
from unisid.config import identity_where, runtime
from unisid.datasets import DatasetConfig, Part, part
from unisid.raw.delimited import Format, Text, read_text, table_of, text_of
from unisid.raw.files import find, read_whole
from unisid.raw.folders import Found
from unisid.raw.ids import ids
from unisid.raw.time_ranges import Clock, Times
from unisid.raw.times import times

FILES = {"100k": ("u.item", "u.data"), "1m": ("movies.dat", "ratings.dat")}
AGAIN = "check catalog.dataset.size, and fetch the files again: GroupLens publishes seconds"
ABOUT = ["item_id", "title", "released", "released_on_video", "address"]


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Which MovieLens, and the folder it was unpacked to."""

    size: Literal["100k", "1m"] = "100k"
    """The release: the two have different files."""
    times: Times = field(default=Times(), metadata=identity_where(lambda config: config.times != Times()))
    """What becomes of interactions without a time, or with one that cannot be true."""
    path: str = runtime("")
    """The folder that holds u.data (100k) or ratings.dat (1m)."""

    def build(self) -> "MovieLens":
        return MovieLens(self)


class MovieLens:
    """Titles carry the year of release; genres are the only further text."""

    text: tuple[str, ...] = ("title", "genres")
    anomalies: Literal["refuse", "count"] = "count"

    def __init__(self, config: Config) -> None:
        self.config, self.times = config, config.times
        self.folder = Place.of(config.path) if config.path else None

    def sources(self) -> dict[str, list[Found]]:
        items, ratings = FILES[self.config.size]
        files = {"items": items, "interactions": ratings}
        files |= {"genres": "u.genre"} if self.config.size == "100k" else {}
        return {role: [Found(self._find(name))] for role, name in files.items()}

    def parts(self) -> list[Part]:
        sources = self.sources()
        return [part("items", sources["items"][0].path), part("interactions", sources["interactions"][0].path)]

    def read(self, part: Part) -> pa.Table:
        small = self.config.size == "100k"
        if part["table"] == "items":
            return self._items_100k(part["path"]) if small else _items_1m(part["path"])
        path = part["path"]
        text = self._ratings(path)
        rows, _ = table_of(text)
        return pa.table(
            {
                "user_id": ids(rows["user_id"], path, text),
                "item_id": ids(rows["item_id"], path, text),
                "timestamp": times(rows["timestamp"], path, Clock("s", self.times, AGAIN), text),
                "rating": rows["rating"],
            }
        )

    def at(self, part: Part, index: int) -> str:
        return f"{part['path']}, {self._ratings(part['path']).at(index)}"

    def _ratings(self, path: str) -> Text:
        names = ["user_id", "item_id", "rating", "timestamp"]
        return _text(path, "\t", names, "utf8") if self.config.size == "100k" else _double_colons(path, names)

    def _find(self, name: str) -> str:
        return find("catalog.dataset.path", f"{self.folder}/{name}" if self.folder else "")

    def _items_100k(self, path: str) -> pa.Table:
        genres = table_of(_text(self._find("u.genre"), "|", ["name", "number"], "utf8"))[0]["name"].to_pylist()
        text = _text(path, "|", ABOUT + genres, "latin-1")
        rows, _ = table_of(text)
        flags = np.stack([rows[name].to_numpy(zero_copy_only=False) == "1" for name in genres], axis=1)
        words = np.array(genres, object)
        joined = [" ".join(words[row]) for row in flags]
        return pa.table({"item_id": ids(rows["item_id"], path, text), "title": rows["title"], "genres": joined})


def _items_1m(path: str) -> pa.Table:
    text = _double_colons(path, ["item_id", "title", "genres"])
    rows, _ = table_of(text)
    genres = pc.replace_substring(rows["genres"], "|", " ")
    return pa.table({"item_id": ids(rows["item_id"], path, text), "title": rows["title"], "genres": genres})


def _double_colons(path: str, names: list[str]) -> Text:
    return text_of(read_whole(path).replace(b"::", b"\t"), path, _form("\t", names, "latin-1"))


def _text(path: str, delimiter: str, names: list[str], encoding: str) -> Text:
    return read_text(path, _form(delimiter, names, encoding))


def _form(delimiter: str, names: list[str], encoding: str) -> Format:
    return Format(delimiter=delimiter, names=tuple(names), encoding=encoding, quoted=False)
