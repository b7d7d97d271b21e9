"""A shop's own data: one table of items and one of interactions, Parquet, CSV or TSV, on any file system."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from unisid.config import runtime
from unisid.datasets import DatasetConfig, Part
from unisid.datasets.columns import Unit, column, ids, positions, times
from unisid.datasets.files import find_tables
from unisid.datasets.tabular import parts_of, read_items, read_rows

NO_CLOCK = "; set dataset.timestamp to the column of times or, where there is only an order, dataset.position"


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Paths may be a file or a folder of files, local or a URI (s3://, gs://, ...); what they hold bears identity."""

    items: str = runtime("")
    """The table of items."""
    interactions: str = runtime("")
    """The table of interactions."""
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
    position: str = ""
    """The interactions' column with the place in the user's order, where there are no times; replaces `timestamp`."""

    def build(self) -> "Tables":
        return Tables(self)


class Tables:
    """Two tables under the shop's own column names. The shop vouches for them: oddities are errors."""

    oddities: Literal["refuse", "count"] = "refuse"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.text = ("title", *config.columns) if config.columns else ("title", "description")

    def sources(self) -> dict[str, list[str]]:
        return {
            "items": find_tables("catalog.dataset.items", self.config.items),
            "interactions": find_tables("catalog.dataset.interactions", self.config.interactions),
        }

    def parts(self) -> list[Part]:
        sources = self.sources()
        return [
            *(p for path in sources["items"] for p in parts_of("items", path)),
            *(p for path in sources["interactions"] for p in parts_of("interactions", path)),
        ]

    def read(self, part: Part) -> pa.Table:
        config, where = self.config, part["path"]
        if part["table"] == "items":
            return read_items(part, config.item_id, config.title, config.columns)
        clock = config.position or config.timestamp
        table, rows = read_rows(part, (config.user, config.item, clock))
        timed, at = column(table, clock, where, NO_CLOCK), f"{where}, column '{clock}'"
        return pa.table(
            {
                "user_id": ids(column(table, config.user, where), f"{where}, column '{config.user}'", rows),
                "item_id": ids(column(table, config.item, where), f"{where}, column '{config.item}'", rows),
            }
            | (
                {"position": positions(timed, at, rows)}
                if config.position
                else {"timestamp": times(timed, at, config.unit, rows)}
            )
        )
