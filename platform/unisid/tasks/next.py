"""From a history of semantic ids, the next item's: the prompt of serving."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import NEXT, Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """The first task of LC-Rec; alone it is our reading of the UQF thesis's TIGER-style runs."""

    source = "samples"
    wordings = Worded(
        ours=(NEXT,),
        thesis=(
            Prompt(
                "The user has interacted with items ",
                " in chronological order. Can you predict the next possible item that the user may expect?",
                ", ",
            ),
        ),
        lcrec=(
            Prompt("Here is what a user took, oldest first: ", ". Which item comes next?", ", "),
            Prompt("A shopper picked these items one after another: ", ". Name the item that follows.", ", "),
            Prompt("Given the purchases ", ", in the order in which they were made, predict the next purchase.", ", "),
            Prompt("Someone's record so far reads ", ". What would you recommend to them now?", ", "),
            Prompt("After ", ", which item is this user most likely to want?", ", "),
            Prompt("Continue this list of items by one: ", ".", ", "),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.sids
