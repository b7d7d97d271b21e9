"""A shop's own data: one table of items and one of interactions, on any file system.

Parquet, delimited text (CSV, TSV, ...) or lines of JSON, compressed or not.
"""

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from unisid.config import identity_where, runtime
from unisid.datasets import DatasetConfig, Part
from unisid.raw.columns import column, further_name, kinds, ratings
from unisid.raw.delimited import Format
from unisid.raw.folders import Found, find_tables
from unisid.raw.ids import ids
from unisid.raw.rows import unread_of, with_unread
from unisid.raw.tabular import parts_of, read_items, read_rows
from unisid.raw.time_ranges import Clock, Times, Unit
from unisid.raw.times import positions, times

NONE = "none"
"""Stands for a path where there is no such table."""
NO_CLOCK = (
    "; set catalog.dataset.timestamp to the column of times or, where there is only an order, catalog.dataset.position"
)


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Paths may be a file or a folder of files, local or a URI (s3://, gs://, ...); what they hold bears identity."""

    items: str = runtime("")
    """The table of items; `none` for a day without new ones (`catalog.append`)."""
    interactions: str = runtime("")
    """The table of interactions; `none` likewise."""
    item_id: str = "item_id"
    """The items' column with the shop's own id."""
    title: str = "title"
    """The items' column with the title."""
    columns: tuple[str, ...] = ()
    """Further text columns of the items to keep; none: every column of text there is."""
    user: str = "user_id"
    """The interactions' column with the user."""
    item: str = "item_id"
    """The interactions' column with the item's id."""
    timestamp: str = "timestamp"
    """The interactions' column with the time: numbers, dates, or text of either."""
    unit: Unit = "s"
    """What a number in the timestamp column counts, since 1970."""
    event: str = field(default="", metadata=identity_where(lambda config: bool(config.event)))
    """The interactions' column with their kind (view, cart, purchase), where there is one; see catalog.events."""
    rating: str = field(default="", metadata=identity_where(lambda config: bool(config.rating)))
    """The interactions' column with a rating, where there is one; see catalog.least_rating."""
    times: Times = field(default=Times(), metadata=identity_where(lambda config: config.times != Times()))
    """What becomes of interactions without a time, or with one that cannot be true."""
    position: str = ""
    """The interactions' column with the place in the user's order, where there are no times; replaces `timestamp`."""

    delimiter: str = field(default="", metadata=identity_where(lambda config: bool(config.delimiter)))
    """What stands between the columns of delimited text, one character or `tab`; empty: found in the header."""
    encoding: str = field(default="", metadata=identity_where(lambda config: bool(config.encoding)))
    """The encoding of text, such as cp1252; empty: UTF-8, or what a byte order mark names."""
    items_header: tuple[str, ...] = field(default=(), metadata=identity_where(lambda config: bool(config.items_header)))
    """The names of the items' columns, in order, where delimited files have no header line."""
    interactions_header: tuple[str, ...] = field(
        default=(), metadata=identity_where(lambda config: bool(config.interactions_header))
    )
    """The same of the interactions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.form("items"), self.form("interactions")

    def form(self, table: Literal["items", "interactions"]) -> Format:
        """How the delimited text of a table is written."""
        names = self.items_header if table == "items" else self.interactions_header
        setting = f"catalog.dataset.{table}_header"
        return Format(delimiter=self.delimiter, encoding=self.encoding, names=names, setting=setting)

    def build(self) -> "Tables":
        return Tables(self)


class Tables:
    """Two tables under the shop's own column names. They are taken to be clean: anomalies are errors."""

    anomalies: Literal["refuse", "count"] = "refuse"

    def __init__(self, config: Config) -> None:
        self.config, self.times = config, config.times
        self.text = ("title", *map(further_name, config.columns)) if config.columns else ("title", "description")

    def sources(self) -> dict[str, list[Found]]:
        paths = {"items": self.config.items, "interactions": self.config.interactions}
        return {role: find_tables(f"catalog.dataset.{role}", path) for role, path in paths.items() if path != NONE}

    def parts(self) -> list[Part]:
        sources = self.sources()
        return [
            *(p for found in sources.get("items", []) for p in parts_of("items", found)),
            *(p for found in sources.get("interactions", []) for p in parts_of("interactions", found)),
        ]

    def read(self, part: Part) -> pa.Table:
        config, where = self.config, part["path"]
        if part["table"] == "items":
            return read_items(part, config.item_id, config.title, config.columns, self.text, config.form("items"))
        clock = config.position or config.timestamp
        names = (config.user, config.item, clock, *filter(None, [config.event, config.rating]))
        table, rows = read_rows(part, names, config.form("interactions"), {clock: NO_CLOCK})
        columns = {
            "user_id": ids(column(table, config.user, where), f"{where}, column '{config.user}'", rows),
            "item_id": ids(column(table, config.item, where), f"{where}, column '{config.item}'", rows),
        }
        at = f"{where}, column '{clock}'"
        timed = column(table, clock, where)
        columns |= (
            {"position": positions(timed, at, rows)}
            if config.position
            else {"timestamp": times(timed, at, Clock(config.unit, config.times), rows)}
        )
        columns |= kinds(table, config.event, where) | ratings(table, config.rating, where)
        return with_unread(pa.table(columns), *unread_of(table))

    def at(self, part: Part, index: int) -> str:
        _, rows = read_rows(part, (self.config.item,), self.config.form("interactions"))
        return f"{part['path']}, {rows.at(index)}"
