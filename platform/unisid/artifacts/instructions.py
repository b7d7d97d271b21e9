"""The instructions: prompts and responses in words, for a language model to learn from.

Tables `train-*.parquet` and `valid-*`, a row an instruction: `task` (its kind), `user` (-1 where none is behind it),
`target` (the item predicted; -1 where a token is), `head`, `pieces` (items, oldest first), `separator`, `tail`,
`response`. The prompt is the head, the pieces with the separator between them, and the tail. The rows of all tasks are
mixed by seed, so that a stream read in stored order is mixed too. `prompts.json` says what a model that learns from
them is asked with.
"""

from dataclasses import dataclass

import pyarrow as pa

from unisid.artifacts.reading import contents, damaged, whole
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, read_table, table_names
from unisid.ops.prompts import Prompts

PROMPTS = "prompts.json"
SEPARATOR = "separator"
"""A column that instructions of older versions lack: all are separated as our own wording does."""
COLUMNS = ("task", "user", "target", "head", "pieces", SEPARATOR, "tail", "response")
WORDS = ("head", "pieces", "tail", "response")
"""The columns that a model learns from, beside the separator."""


@dataclass(frozen=True)
class Instructions:
    """Read instructions."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Instructions":
        """Raises ArtifactError where no complete instructions are."""
        return cls(place, require(place, "instructions"))

    def table(self, split: str) -> pa.Table:
        """A whole split in memory: 'train' or 'valid'."""
        return read_table(self.place, split, [name for name in COLUMNS if name != SEPARATOR or name in self.words])

    @property
    def words(self) -> tuple[str, ...]:
        """The columns that a model learns from."""
        names = table_names(self.place, "train")
        has_separator = not names or SEPARATOR in open_table(self.place, names[0]).schema_arrow.names
        return (*WORDS, SEPARATOR) if has_separator else WORDS

    def prompts(self) -> Prompts:
        """The prompts for a model trained on them; today's wording where an older version wrote them."""
        if PROMPTS not in self.place.sizes():
            return Prompts()
        with whole(self.place, PROMPTS, "prompts"):
            return Prompts.from_json(contents(self.place, PROMPTS))

    def num_rows(self, split: str) -> int:
        """How many rows a split has."""
        return self.record.count(split)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The kinds of its tasks."""
        tasks = self.record.config.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise damaged(self.place, RECORD, f"config.tasks is {tasks!r}, must be the kinds of its tasks")
        return tuple(tasks)
