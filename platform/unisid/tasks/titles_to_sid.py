"""From a history of titles, the next item's semantic id."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Ties words to what serving answers."""

    source = "samples"
    prompt = Prompt("Titles so far:\n", "\nNext item:")

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.sids
