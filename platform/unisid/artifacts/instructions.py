"""The instructions: prompts and responses in words, for a language model to learn from.

Tables `train-*.parquet` and `valid-*`, a row an instruction: `task` (its kind), `user` (-1 where none is behind it),
`target` (the item predicted), `head`, `pieces` (items, oldest first), `tail`, `response`. The prompt is the head,
the pieces with `ops.prompts.SEPARATOR` between them, and the tail. The rows of all tasks are mixed by seed, so that a
stream read in stored order is mixed too.
"""

from dataclasses import dataclass

import pyarrow as pa

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table

COLUMNS = ("task", "user", "target", "head", "pieces", "tail", "response")
WORDS = ("head", "pieces", "tail", "response")
"""The columns that a model learns from."""


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
        return read_table(self.place, split, COLUMNS)

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
