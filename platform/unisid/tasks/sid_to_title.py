"""From a semantic id, its item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import SID_TO_TITLE
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches what an index says in words."""

    source = "items"
    prompt = SID_TO_TITLE

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.titles
