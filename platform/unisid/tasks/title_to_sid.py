"""From a title, its item's semantic id."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import TITLE_TO_SID
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches what words an index stands for; serves free text."""

    source = "items"
    prompt = TITLE_TO_SID

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.sids
