"""Prompt rows and their texts: a task's rows from items and histories, with no loop over rows.

R rows, n items of all histories, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.ops.prompts import clean
from unisid.ops.semantic_ids import spell_all
from unisid.tasks import TaskConfig, Words

ROWS_AT_ONCE = 1 << 11
"""Rows whose texts are joined at once: 32-bit offsets reach 2 GB."""
NO_USER = -1
"""The user of a row about an item alone."""


@dataclass(frozen=True)
class PromptRows:
    """Rows to be put into words: the items of each prompt, oldest first, and the item that answers."""

    user: NDArray[np.int32]
    """[R]."""
    target: NDArray[np.int32]
    """[R]."""
    items: NDArray[np.int32]
    """[n], history after history."""
    lengths: NDArray[np.int64]
    """[R]."""

    def __len__(self) -> int:
        return len(self.target)

    @classmethod
    def of_items(cls, start: int, stop: int) -> "PromptRows":
        """Items, each the subject of its own prompt."""
        items = np.arange(start, stop, dtype=np.int32)
        return cls(np.full_like(items, NO_USER), items, items, np.ones(len(items), np.int64))

    @classmethod
    def of_samples(cls, samples: pa.Table) -> "PromptRows":
        """Samples as `artifacts.sequences` has them."""
        history = samples["history"].combine_chunks()
        lengths = history.value_lengths().to_numpy().astype(np.int64)
        return cls(samples["user"].to_numpy(), samples["target"].to_numpy(), history.flatten().to_numpy(), lengths)

    @classmethod
    def joined(cls, several: "Sequence[PromptRows]") -> "PromptRows":
        """All rows, in order."""
        empty = cls.of_items(0, 0)
        columns = zip(*((a.user, a.target, a.items, a.lengths) for a in (empty, *several)), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def slices(self, rows: int) -> "list[PromptRows]":
        """The same rows, so many at a time."""
        bounds = np.concatenate([[0], np.cumsum(self.lengths)])
        return [
            PromptRows(self.user[a:b], self.target[a:b], self.items[bounds[a] : bounds[b]], self.lengths[a:b])
            for a in range(0, len(self), rows)
            for b in [min(a + rows, len(self))]
        ]


@dataclass(frozen=True)
class Speller:
    """Writes items in words."""

    codes: NDArray[Any]
    """[N, L]."""
    titles: pa.Array
    """[N], as the catalog has them."""

    def words(self, items: NDArray[Any]) -> Words:
        """Of some items [n]."""
        titles = [clean(title or "") for title in self.titles.take(pa.array(items)).to_pylist()]
        return Words(pa.array(spell_all(self.codes[items]), pa.string()), pa.array(titles, pa.string()))

    def count(self, start: int, stop: int) -> dict[str, int]:
        """How many of a range of items are left without a title, and how many titles the cleaning changed."""
        titles = self.titles[start:stop].to_pylist()
        cleaned = [clean(title or "") for title in titles]
        changed = sum(after not in ("", before) for before, after in zip(titles, cleaned, strict=True))
        return {"untitled": cleaned.count(""), "cleaned": changed}


def write_rows(task: TaskConfig, number: int, kinds: Sequence[str], asked: PromptRows, speller: Speller) -> pa.Table:
    """A task's rows with the columns of `artifacts.instructions`; what has no words is left out.

    Args:
        number: of the task among the `kinds`.
    """
    return pa.concat_tables(
        [_written(task, number, kinds, some, speller) for some in asked.slices(ROWS_AT_ONCE)]
        or [_written(task, number, kinds, asked, speller)]
    )


def _written(task: TaskConfig, number: int, kinds: Sequence[str], asked: PromptRows, speller: Speller) -> pa.Table:
    items, places = np.unique(np.concatenate([asked.items, asked.target]), return_inverse=True)
    words = speller.words(items)
    pieces = task.pieces(words).take(pa.array(places[: len(asked.items)]))
    worded = pc.not_equal(pieces, "").to_numpy(zero_copy_only=False)
    lengths = np.bincount(np.repeat(np.arange(len(asked)), asked.lengths)[worded], minlength=len(asked))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    response = task.responses(words).take(pa.array(places[len(asked.items) :]))
    table = pa.table(
        {
            "task": pa.DictionaryArray.from_arrays(np.full(len(asked), number, np.int8), pa.array(kinds)),
            "user": pa.array(asked.user, pa.int32()),
            "target": pa.array(asked.target, pa.int32()),
            "head": pa.repeat(task.prompt.head, len(asked)),
            "pieces": pa.ListArray.from_arrays(offsets, pieces.filter(pa.array(worded))),
            "tail": pa.repeat(task.prompt.tail, len(asked)),
            "response": response,
        }
    )
    return table.filter(pc.and_(pa.array(lengths > 0), pc.not_equal(response, "")))
