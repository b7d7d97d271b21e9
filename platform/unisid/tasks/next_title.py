"""From a history of semantic ids, the next item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Ties what is read as ids to words."""

    source = "samples"
    wordings = Worded(
        ours=(Prompt("Items so far:\n", "\nNext title:"),),
        thesis=(
            Prompt(
                "The user has sequentially interacted with items ",
                ". Can you recommend the next item for him?Tell me the title of the item",
                ", ",
            ),
        ),
        lcrec=(
            Prompt("A user took ", ", oldest first. What is the title of the item that comes next?", ", "),
            Prompt("Title of the item that follows ", "?", ", "),
            Prompt("Given the items ", ", name the next one by its title.", ", "),
            Prompt("What would you recommend after ", "? Answer with a title.", ", "),
            Prompt("The list ", ", goes on with the item of which title?", ", "),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.titles
