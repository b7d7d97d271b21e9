"""From a history of semantic ids, the next item's: the prompt of serving."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import NEXT
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """The first task of LC-Rec; alone it is our reading of the UQF thesis's TIGER-style runs."""

    source = "samples"
    prompt = NEXT

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.sids
