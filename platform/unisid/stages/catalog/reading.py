"""The parallel half of the catalog: raw parts read and cleaned by workers, joined in order, checked.

E interactions, n of them, N items.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from unisid.compute import Job, Pool, Step
from unisid.config import did_you_mean
from unisid.datasets import Dataset, Part
from unisid.errors import DataError
from unisid.ops.text import PLACEHOLDER, clean_text, has_markup
from unisid.progress import mapped
from unisid.raw import columns as raw_columns
from unisid.raw.rows import listed
from unisid.raw.time_ranges import Unit, coarsest
from unisid.stages.catalog.parts import joined, numbered, part_of

SHOWN = 3
"""How many of the wrong values an error names."""
Ints = Int[np.ndarray, " E"]


@dataclass(frozen=True)
class Rows:
    """Interactions in columns; users and items are positions in their lists of ids."""

    user: Ints
    item: Ints
    """Positions; -1 where the items lack it."""
    timestamp: Ints
    """In `unit`, or positions."""
    unit: Unit | Literal["position"] = "s"
    kind: Ints | None = None
    """The kind of event as a place in the table's; None where all count alike."""

    def __len__(self) -> int:
        return len(self.user)

    def where(self, kept: Int[np.ndarray, " n"] | Bool[np.ndarray, " E"]) -> "Rows":
        """The rows that a mask keeps, or those at places, in that order; themselves where a mask keeps all."""
        if kept.dtype == bool and kept.all():
            return self
        kind = None if self.kind is None else self.kind[kept]
        return Rows(self.user[kept], self.item[kept], self.timestamp[kept], self.unit, kind)


@dataclass(frozen=True)
class Pieces:
    """A raw table as workers read it."""

    name: str
    """What errors call it: items, interactions."""
    tables: Iterator[pa.Table]
    """One a part, in no stated order; each has the number of its part."""
    paths: Mapping[int, str]
    """The file of each part, by its number."""

    def joined(self) -> pa.Table:
        """All of them, in the order of their parts. Raises DataError as `parts.joined`."""
        return joined(self.name, list(self.tables), self.paths)


def read_items(job: Job[Any], dataset: Dataset, text: Sequence[str], pool: Pool) -> pa.Table:
    """All items, cleaned: item_id, title, text, further columns and `markup` (whether the raw title had any)."""
    return items_in_pieces(job, dataset, text, pool).joined()


def items_in_pieces(job: Job[Any], dataset: Dataset, text: Sequence[str], pool: Pool) -> Pieces:
    """The same, part by part."""
    return _pieces(job, dataset, "items", functools.partial(_item_reader, dataset, tuple(text)), pool)


def read_interactions(job: Job[Any], dataset: Dataset, pool: Pool, rated: bool = False) -> pa.Table:
    """All interactions in their original order: user_id and item_id as dictionaries, timestamp or position,
    and where the dataset has it, event as a dictionary; `rating` only where `rated`."""
    return interactions_in_pieces(job, dataset, pool, rated).joined()


def interactions_in_pieces(job: Job[Any], dataset: Dataset, pool: Pool, rated: bool = False) -> Pieces:
    """The same, part by part."""
    return _pieces(job, dataset, "interactions", functools.partial(_interaction_reader, dataset, rated), pool)


def _pieces(
    job: Job[Any], dataset: Dataset, table: str, make: Callable[[], Callable[[pa.Table], pa.Table]], pool: Pool
) -> Pieces:
    parts = [part | {"number": n} for n, part in enumerate(dataset.parts()) if part["table"] == table]
    paths = {part["number"]: part["path"] for part in parts}
    return Pieces(table, mapped(job, parts, Step(make, pool), "files", of=table), paths)


def _item_reader(dataset: Dataset, wanted: tuple[str, ...]) -> Callable[[pa.Table], pa.Table]:
    def read(table: pa.Table) -> pa.Table:
        part = _part(table)
        raw = dataset.read(part)
        titles = raw["title"].to_pylist()
        columns = {name: _cleaned(raw[name]) for name in raw.column_names if name != "item_id"}
        return numbered(
            part,
            raw,
            {
                "item_id": raw["item_id"],
                "title": columns["title"],
                "text": _text(dataset, wanted, columns, part["path"]),
                **columns,
                "markup": pa.array([has_markup(title) for title in titles], pa.bool_()),
            },
        )

    return read


def _interaction_reader(dataset: Dataset, rated: bool) -> Callable[[pa.Table], pa.Table]:
    def read(table: pa.Table) -> pa.Table:
        part = _part(table)
        rows = dataset.read(part)
        encoded = {name: rows[name].combine_chunks() for name in rows.column_names if rated or name != "rating"}
        if "rating" in encoded:
            encoded["rating"] = raw_columns.numbers(
                rows["rating"], "the ratings", _Located(dataset, part)
            ).combine_chunks()
        words = [name for name in ("user_id", "item_id", "event") if name in encoded]
        return numbered(part, rows, encoded | {name: encoded[name].dictionary_encode() for name in words})

    return read


@dataclass(frozen=True)
class _Located:
    """The rows of a part of the interactions, as errors name them."""

    dataset: Dataset
    part: Part

    def at(self, index: int) -> str:
        return self.dataset.at(self.part, index)


def _part(table: pa.Table) -> Part:
    [part] = table.to_pylist()
    return part


def _cleaned(texts: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_null(texts.type):  # there is nothing in this part; other parts say whether it is text
        return pa.nulls(len(texts))
    return pa.array([clean_text(text) for text in texts.to_pylist()], pa.large_string())


def _text(dataset: Dataset, wanted: tuple[str, ...], columns: dict[str, pa.Array], path: str) -> pa.Array:
    """The chosen columns joined by blanks; the placeholder where nothing is in them."""
    where = f"{path}: " if path else ""
    for name in wanted:
        if name not in columns:
            like = _alike(name, columns) or did_you_mean(name, columns)
            raise DataError(
                f"catalog.text: {where}the text column '{name}' is not there{like}; the items have: "
                f"{listed(sorted(columns))}"
            )
    names = wanted or dataset.text or tuple(columns)
    for name in names:
        if name not in columns and (other := _alike(name, columns)):
            raise DataError(
                f"{path or 'catalog'}: the text column '{name}' is not there{other}; rename it, or set "
                "catalog.text to the columns that make up the text"
            )
    chosen = [columns[name].to_pylist() for name in names if name in columns]
    joined_texts = [" ".join(filter(None, texts)) or PLACEHOLDER for texts in zip(*chosen, strict=True)]
    return pa.array(joined_texts, pa.large_string())


def _alike(name: str, columns: dict[str, pa.Array]) -> str:
    """'; it has ...' of a column that is called the same but for case, blanks and signs; or nothing."""
    found = [other for other in columns if _letters(other) == _letters(name)]
    return f"; it has '{found[0]}'" if found else ""


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def distinct(items: pa.Table, refuse: bool) -> tuple[pa.Table, int]:
    """Items of which each id occurs once, the first row of it, and how many rows were too many."""
    encoded = items["item_id"].combine_chunks().dictionary_encode()
    _, first = np.unique(encoded.indices.to_numpy(), return_index=True)
    surplus = items.num_rows - len(first)
    if surplus and refuse:
        again = np.setdiff1d(np.arange(items.num_rows), first)
        raise repeated_ids(surplus, items["item_id"].take(again[:SHOWN]).to_pylist())
    return (items.take(first) if surplus else items), surplus


def repeated_ids(surplus: int, names: Sequence[str]) -> DataError:
    """The error for items whose ids came before: how many, and the first of their ids."""
    return DataError(
        f"catalog: {surplus} rows of the items repeat an item id that came before: {_listed(names)}; make the "
        "ids unique, or set catalog.duplicate_items to count: the first row then wins"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def named(dataset: Dataset, table: pa.Table, row: int) -> str:
    """Where a row of the interactions stands, for errors: the file and the line."""
    number, index = part_of(table, row)
    return dataset.at(dataset.parts()[number], index)


def rows_of(
    table: pa.Table, items: pa.Table, kept: Bool[np.ndarray, " E"], dataset: Dataset, refuse: bool, weighed: bool
) -> tuple[pa.Array, Rows]:
    """The ids of the users, and the kept interactions by position in these and in the items; with their kinds where
    these are weighed.

    Raises DataError where an interaction names an item that the items lack and `refuse` says so.
    """
    user, item = table["user_id"].combine_chunks(), table["item_id"].combine_chunks()
    place = pc.fill_null(pc.index_in(item.dictionary, value_set=items["item_id"].combine_chunks()), -1)
    items_of_rows = place.to_numpy().astype(np.int32)[item.indices.to_numpy()]
    time, unit = _clock(table)
    kind = table["event"].combine_chunks().indices.to_numpy() if weighed else None
    rows = Rows(user.indices.to_numpy(), items_of_rows, time, unit, kind).where(kept)
    unknown = np.flatnonzero((items_of_rows < 0) & kept)
    if len(unknown) and refuse:
        names = item.take(unknown[: 1000 * SHOWN]).cast(pa.string()).unique()[:SHOWN].to_pylist()
        raise unknown_items(len(unknown), len(rows), names, named(dataset, table, int(unknown[0])))
    return user.dictionary, rows


def unknown_items(count: int, interactions: int, names: Sequence[str], where: str) -> DataError:
    """The error for interactions whose items are not there: how many of how many, the first ids, and where the first
    stands."""
    return DataError(
        f"catalog: {count} of {interactions} interactions name an item that the items lack: {_listed(names)} (first in "
        f"{where}); complete the items, or set catalog.unknown_items to count: such interactions are then dropped"
    )


def _clock(table: pa.Table) -> tuple[Ints, Unit | Literal["position"]]:
    """The times of a table's rows in the coarsest unit that loses nothing, 0 where there is none; or the positions."""
    if "position" in table.column_names:
        return table["position"].to_numpy(), "position"
    times = table["timestamp"]
    return coarsest(pc.fill_null(times.cast(pa.int64()), 0).to_numpy(), times.type.unit)
