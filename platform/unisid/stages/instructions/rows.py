"""Prompt rows and their texts: a task's rows from items and histories, with no loop over rows.

R rows, n items of all histories, N items (or tokens, of rows about these), L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from unisid.ops.prompts import Prompt, clean
from unisid.ops.seeded import mix
from unisid.ops.semantic_ids import spell_all
from unisid.tasks import TaskConfig, Words

ROWS_AT_ONCE = 1 << 11
"""Rows whose texts are joined at once: 32-bit offsets reach 2 GB."""
NO_USER = -1
"""The user of a row about an item alone."""
NO_ITEM = -1
"""The target of a row about a token."""


@dataclass(frozen=True)
class PromptRows:
    """Rows to be put into words: the items of each prompt, oldest first, and the item that answers."""

    user: Int[np.ndarray, " R"]
    target: Int[np.ndarray, " R"]
    items: Int[np.ndarray, " n"]
    """History after history."""
    lengths: Int[np.ndarray, " R"]
    numbers: Int[np.ndarray, " R"]
    """Of each row among all that its task has in a pass, the repeated ones included."""

    def __len__(self) -> int:
        return len(self.target)

    @classmethod
    def of_items(cls, start: int, stop: int, first: int = 0) -> "PromptRows":
        """Items, each the subject of its own prompt; `first` is the number of the first row."""
        items = np.arange(start, stop, dtype=np.int32)
        numbers = np.arange(first, first + len(items))
        return cls(np.full_like(items, NO_USER), items, items, np.ones(len(items), np.int64), numbers)

    @classmethod
    def of_samples(cls, samples: pa.Table, first: int = 0) -> "PromptRows":
        """Samples as `artifacts.sequences` has them; `first` is the number of the first row."""
        history = samples["history"].combine_chunks()
        lengths = history.value_lengths().to_numpy().astype(np.int64)
        users, targets, numbers = samples["user"], samples["target"], np.arange(first, first + len(lengths))
        return cls(users.to_numpy(), targets.to_numpy(), history.flatten().to_numpy(), lengths, numbers)

    @classmethod
    def joined(cls, several: "Sequence[PromptRows]") -> "PromptRows":
        """All rows, in order."""
        empty = cls.of_items(0, 0)
        columns = zip(*((a.user, a.target, a.items, a.lengths, a.numbers) for a in (empty, *several)), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def slices(self, rows: int) -> "list[PromptRows]":
        """The same rows, so many at a time."""
        bounds = np.concatenate([[0], np.cumsum(self.lengths)])
        return [
            PromptRows(
                self.user[a:b],
                self.target[a:b],
                self.items[bounds[a] : bounds[b]],
                self.lengths[a:b],
                self.numbers[a:b],
            )
            for a in range(0, len(self), rows)
            for b in [min(a + rows, len(self))]
        ]


@dataclass(frozen=True)
class Speller:
    """Writes items in words."""

    codes: Int[np.ndarray, "N L"]
    titles: pa.Array
    """[N], as the catalog has them."""
    descriptions: pa.Array | None = None
    """[N], as the catalog has them; None where no task reads them."""
    longest: int = 0
    """Characters of a description that are kept."""

    def words(self, items: Int[np.ndarray, " n"]) -> Words:
        """Of some items."""
        places = pa.array(items)
        titles = [clean(title or "") for title in self.titles.take(places).to_pylist()]
        texts_there = [""] * len(items) if self.descriptions is None else self.descriptions.take(places).to_pylist()
        descriptions = [clean(text or "", self.longest) for text in texts_there]
        return Words(*(pa.array(texts, pa.string()) for texts in (spell_all(self.codes[items]), titles, descriptions)))

    def count(self, start: int, stop: int) -> dict[str, int]:
        """How many of a range of items are left without a title or a description, and how many titles the cleaning
        changed."""
        titles = self.titles[start:stop].to_pylist()
        cleaned = [clean(title or "") for title in titles]
        changed = sum(after not in ("", before) for before, after in zip(titles, cleaned, strict=True))
        texts_there = [] if self.descriptions is None else self.descriptions[start:stop].to_pylist()
        undescribed = sum(not clean(text or "", self.longest) for text in texts_there)
        return {"without title": cleaned.count(""), "cleaned": changed, "without description": undescribed}


@dataclass(frozen=True)
class TokenSpeller:
    """Writes tokens in words."""

    tokens: pa.Array
    """[N], such as '<b_12>'."""
    traits: pa.Array
    """[N], what the items of each have in common."""
    longest: int
    """Characters of a text that are kept."""

    def words(self, items: Int[np.ndarray, " n"]) -> Words:
        """Of some tokens."""
        places = pa.array(items)
        traits = [clean(text or "", self.longest) for text in self.traits.take(places).to_pylist()]
        tokens = self.tokens.take(places).cast(pa.string())
        return Words(tokens, pa.array([""] * len(items), pa.string()), pa.array(traits, pa.string()))


@dataclass(frozen=True)
class Asking:
    """A task among the kinds of all, and its prompts: each row has one of them, drawn by seed."""

    task: TaskConfig
    kinds: Sequence[str]
    prompts: Sequence[Prompt]
    """One for the rows that validate."""
    seed: int

    def drawn(self, numbers: Int[np.ndarray, " R"]) -> Int[np.ndarray, " R"]:
        """Which prompt rows of these numbers have: the same one whatever else is made with them."""
        return (mix(numbers.astype(np.uint64) ^ np.uint64(self.seed)) % np.uint64(len(self.prompts))).astype(np.int64)


def write_rows(asking: Asking, rows: PromptRows, speller: "Speller | TokenSpeller") -> pa.Table:
    """A task's rows with the columns of `artifacts.instructions`; what has no words is left out."""
    return pa.concat_tables(
        [_written(asking, some, speller) for some in rows.slices(ROWS_AT_ONCE)] or [_written(asking, rows, speller)]
    )


def _written(asking: Asking, rows: PromptRows, speller: "Speller | TokenSpeller") -> pa.Table:
    task, number = asking.task, asking.kinds.index(asking.task.kind)
    head, tail, separator = (
        pa.array(texts, pa.string()).take(pa.array(asking.drawn(rows.numbers)))
        for texts in zip(*((p.head, p.tail, p.separator) for p in asking.prompts), strict=True)
    )
    items, places = np.unique(np.concatenate([rows.items, rows.target]), return_inverse=True)
    words = speller.words(items)
    pieces = task.pieces(words).take(pa.array(places[: len(rows.items)]))
    has_words = pc.not_equal(pieces, "").to_numpy(zero_copy_only=False)
    lengths = np.bincount(np.repeat(np.arange(len(rows)), rows.lengths)[has_words], minlength=len(rows))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    response = task.responses(words).take(pa.array(places[len(rows.items) :]))
    table = pa.table(
        {
            "task": pa.DictionaryArray.from_arrays(np.full(len(rows), number, np.int8), pa.array(asking.kinds)),
            "user": pa.array(rows.user, pa.int32()),
            "target": pa.array(np.full_like(rows.target, NO_ITEM) if task.source == "tokens" else rows.target),
            "head": head,
            "pieces": pa.ListArray.from_arrays(offsets, pieces.filter(pa.array(has_words))),
            "separator": separator,
            "tail": tail,
            "response": response,
        }
    )
    return table.filter(pc.and_(pa.array(lengths > 0), pc.not_equal(response, "")))
