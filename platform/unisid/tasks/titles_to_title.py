"""From a history of titles, the next item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Preferences in words alone, which the language model has seen in pretraining."""

    source = "samples"
    prompt = Prompt("Titles so far:\n", "\nNext title:")

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.titles
