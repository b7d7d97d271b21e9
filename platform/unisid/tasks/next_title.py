"""From a history of semantic ids, the next item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Ties what is read as ids to words."""

    source = "samples"
    prompt = Prompt("Items so far:\n", "\nNext title:")

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.titles
