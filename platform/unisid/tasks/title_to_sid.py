"""From a title, its item's semantic id."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import TITLE_TO_SID, Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches what words an index stands for; serves free text."""

    source = "items"
    wordings = Worded(
        ours=(TITLE_TO_SID,),
        thesis=(Prompt("Which item has the title: ", "?"),),
        lcrec=(
            Prompt('An item is called "', '". Which item is it?'),
            Prompt('Find the item with the title "', '".'),
            Prompt('Title: "', '". Give the item that bears it.'),
            Prompt('Which item do we sell under the name "', '"?'),
            Prompt('Somebody asks for "', '". What item do they mean?'),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.sids
