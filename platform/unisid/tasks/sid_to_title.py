"""From a semantic id, its item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import SID_TO_TITLE, Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches what an index says in words."""

    source = "items"
    wordings = Worded(
        ours=(SID_TO_TITLE,),
        thesis=(Prompt('What is the title of item "', '"?'),),
        lcrec=(
            Prompt("Say the title of item ", "."),
            Prompt("What do we call item ", "?"),
            Prompt("Item ", " has which title?"),
            Prompt("Give the name under which ", " is sold."),
            Prompt("Put item ", " into words: what is its title?"),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.titles
