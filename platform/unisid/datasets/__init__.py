"""Raw data: files as a shop or a research site publishes them, read in parallel parts into two plain tables.

A dataset is one module with a `Config`. Its parts are small dicts, all with the same keys, that travel to workers;
`read` turns one part into an Arrow table. Cleaning, filtering, numbering and splitting are the catalog stage's work.
"""

from abc import abstractmethod
from typing import Literal, Protocol

import pyarrow as pa

from unisid.config import PlugIn
from unisid.raw.folders import Found
from unisid.raw.parts import Part as Part
from unisid.raw.parts import part as part
from unisid.raw.time_ranges import Times


class Dataset(Protocol):
    """Interface of raw data for the catalog stage.

    It is built once, where relative paths mean something, and is then pickled to workers, where they do not: what
    `read` needs must be absolute.
    """

    text: tuple[str, ...]
    """The columns that make up an item's text, in order, as far as the items have them; none: all of them."""
    anomalies: Literal["refuse", "count"]
    """Item ids that occur twice and interactions that name unknown items: an error, or known of the published
    files, where the first item wins and the interactions are dropped."""

    times: Times
    """What becomes of interactions without a time, or with one that cannot be true."""

    def sources(self) -> dict[str, list[Found]]:
        """Role -> the files that hold it; their contents and partitions are the data's identity. Raises DataError
        where one is missing."""
        ...

    def parts(self) -> list[Part]:
        """Parts that can be read in parallel, in the order of the original rows; made by `part`."""
        ...

    def read(self, part: Part) -> pa.Table:
        """The rows of a part, in their original order.

        Items: `item_id`, `title` and any further text columns, all strings. Interactions: `user_id`, `item_id`
        (strings) and `timestamp` (an Arrow timestamp of any unit, or int64: seconds since 1970; null where there is
        none and `times` drops such rows) or, where only the order is known, `position` (int64).
        Where the data have ratings: `rating` (numbers, or text of them); where they have kinds: `event`.
        A further text column of type null has no value in this part. The table may remember what was not read of
        the part (`rows.with_unread`).
        """
        ...

    def at(self, part: Part, index: int) -> str:
        """Where a row of a part of the interactions stands, for errors, by index from 0: 'views.csv, line 7'. May read
        the part again."""
        ...


class DatasetConfig(PlugIn):
    """Base of a dataset's settings. Paths bear no identity: the contents of the files do."""

    @abstractmethod
    def build(self) -> Dataset: ...
