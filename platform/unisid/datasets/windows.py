"""Published samples instead of interactions: tables of user, history and target, and a table of items.

Each sample is a window on its user's sequence: the last few items, oldest first, then the target. A user's windows
are joined, in the order of the files and rows: a window that overlaps the end of what is known adds the rest of it.
What lies before a user's first window is lost, so figures from such data are not those of the full set.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.artifacts.store import Place
from unisid.config import identity_where, runtime
from unisid.datasets import DatasetConfig, Part, part
from unisid.errors import DataError
from unisid.raw.columns import column, further_name
from unisid.raw.delimited import Format
from unisid.raw.files import find
from unisid.raw.folders import Found, find_tables
from unisid.raw.ids import ids
from unisid.raw.rows import Rows, unread_of, with_unread
from unisid.raw.tabular import parts_of, read_items, read_rows
from unisid.raw.texts import is_list
from unisid.raw.time_ranges import Times

Sequence = list[str]


@dataclass(frozen=True, kw_only=True)
class Config(DatasetConfig):
    """Where the samples and the items are, and what their columns are called."""

    items: str = runtime("")
    """The table of items: a Parquet, CSV or TSV file or a folder of them."""
    samples: tuple[str, ...] = runtime(())
    """The tables of samples (Parquet), in time order: such as train, valid, test."""
    item_id: str = "item_id"
    """The items' column with the id that histories and targets name."""
    title: str = "title"
    """The items' column with the title."""
    columns: tuple[str, ...] = ()
    """Further text columns of the items to keep; none: every column of text there is."""
    user: str = "user_id"
    """The samples' column with the user."""
    history: str = "history"
    """The samples' column with the list of items before the target, oldest first."""
    target: str = "target"
    """The samples' column with the item that comes next."""

    delimiter: str = field(default="", metadata=identity_where(lambda config: bool(config.delimiter)))
    """What stands between the columns of delimited text, one character or `tab`; empty: found in the header."""
    encoding: str = field(default="", metadata=identity_where(lambda config: bool(config.encoding)))
    """The encoding of text, such as cp1252; empty: UTF-8, or what a byte order mark names."""
    items_header: tuple[str, ...] = field(default=(), metadata=identity_where(lambda config: bool(config.items_header)))
    """The names of the items' columns, in order, where delimited files have no header line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.form  # noqa: B018

    @property
    def form(self) -> Format:
        """How the items' delimited text is written."""
        return Format(
            delimiter=self.delimiter,
            encoding=self.encoding,
            names=self.items_header,
            setting="catalog.dataset.items_header",
        )

    def build(self) -> "Windows":
        return Windows(self)


class Windows:
    """Interactions recovered from samples; only their order is known."""

    anomalies: Literal["refuse", "count"] = "count"
    times: Times = Times()

    def __init__(self, config: Config) -> None:
        self.config = config
        self.samples = [Place.of(path).uri for path in config.samples]
        self.text = ("title", *map(further_name, config.columns)) if config.columns else ("title", "description")

    def sources(self) -> dict[str, list[Found]]:
        if not self.config.samples:
            raise DataError("catalog.dataset.samples: no path is given; list the tables of samples, oldest first")
        return {
            "items": find_tables("catalog.dataset.items", self.config.items),
            "interactions": [Found(find("catalog.dataset.samples", path)) for path in self.samples],
        }

    def parts(self) -> list[Part]:
        items = [p for found in self.sources()["items"] for p in parts_of("items", found)]
        return [*items, part("interactions")]

    def read(self, part: Part) -> pa.Table:
        config = self.config
        if part["table"] == "items":
            return read_items(part, config.item_id, config.title, config.columns, self.text, config.form)
        parts = [part for path in self.samples for part in parts_of("interactions", Found(path))]
        tables = [self._samples(part) for part in parts]
        return with_unread(_interactions(pa.concat_tables(tables).combine_chunks()), *unread_of(tables[0]))

    def at(self, part: Part, index: int) -> str:
        return f"step {index + 1} of the users' sequences, joined from {', '.join(self.samples)}"

    def _samples(self, part: Part) -> pa.Table:
        config, path = self.config, part["path"]
        names = (config.user, config.history, config.target)
        table, rows = read_rows(part, names)
        user, history, target = (column(table, name, path) for name in names)
        columns = {
            "user": ids(user, f"{path}, column '{config.user}'", rows),
            "history": _histories(history.combine_chunks(), f"{path}, column '{config.history}'", rows),
            "target": ids(target, f"{path}, column '{config.target}'", rows),
        }
        return with_unread(pa.table(columns), *unread_of(table))


@dataclass(frozen=True)
class Elements:
    """The elements of lists, which errors call by the row of their list."""

    rows: Rows
    parents: pa.Array

    def at(self, index: int) -> str:
        return self.rows.at(self.parents[index].as_py())


def _histories(lists: pa.Array, where: str, rows: Rows) -> pa.Array:
    """The item ids of each row as strings; none where there is no list."""
    if not is_list(lists.type):
        raise DataError(f"{where}: holds {lists.type}; every row must be a list of item ids, oldest first")
    flat, parents = pc.list_flatten(lists), pc.list_parent_indices(lists)
    absent = pc.is_null(flat)
    if pc.any(absent).as_py():
        row = parents[pc.index(absent, True).as_py()].as_py()
        raise DataError(f"{where}, {rows.at(row)}: an item id is missing; leave out what has none")
    words = ids(pa.chunked_array([flat]), where, Elements(rows, parents)).combine_chunks()
    ends = np.cumsum(np.asarray(pc.fill_null(pc.list_value_length(lists), 0)), dtype=np.int64)
    return pa.LargeListArray.from_arrays(pa.array(np.append(0, ends)), words)


def _interactions(samples: pa.Table) -> pa.Table:
    users = samples["user"].combine_chunks().dictionary_encode()
    order = np.argsort(users.indices.to_numpy(), kind="stable")
    number = users.indices.to_numpy()[order]
    histories = samples["history"].take(order).combine_chunks()
    ends = np.cumsum(np.asarray(pc.fill_null(pc.list_value_length(histories), 0)), dtype=np.int64)
    flat = pc.list_flatten(histories).to_pylist()
    targets = samples["target"].take(order).to_pylist()
    starts = np.append(0, ends)
    windows = [[*flat[a:b], target] for (a, b), target in zip(pairwise(starts.tolist()), targets, strict=True)]
    bounds = np.append(np.flatnonzero(np.diff(number, prepend=-1)), len(number))
    sequences = [joined(windows[a:b]) for a, b in pairwise(bounds.tolist())]
    lengths = np.array([len(s) for s in sequences], np.int64)
    position = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return pa.table(
        {
            "user_id": users.dictionary.take(np.repeat(number[bounds[:-1]], lengths)),
            "item_id": pa.array([item for s in sequences for item in s], pa.string()),
            "position": position,
        }
    )


def joined(windows: list[Sequence]) -> Sequence:
    """The sequence that a user's windows, oldest first, are windows on; the longest overlap of each is the true one.

    [a, b, c], [b, c, d] -> [a, b, c, d]; a window that overlaps nothing is appended whole.
    """
    known = list(windows[0])
    for window in windows[1:]:
        longest = min(len(known), len(window) - 1)
        overlap = next(n for n in range(longest, -1, -1) if known[len(known) - n :] == window[:n])
        known += window[overlap:]
    return known
