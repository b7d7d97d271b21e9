"""From a history of semantic ids, the next item's description."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """The thesis's third task and one of TS-Rec's: what is still wanted, in the shop's own words."""

    source = "samples"
    needs = ("description",)
    wordings = Worded(
        ours=(Prompt("Items so far:\n", "\nNext description:"),),
        thesis=(
            Prompt(
                "Please review the user's historical interactions: ",
                ", and describe what kind of item he still needs.",
                ", ",
            ),
        ),
        lcrec=(
            Prompt("A user took ", ", oldest first. Describe the item that comes next.", ", "),
            Prompt("What does the item look like that follows ", "? Describe it.", ", "),
            Prompt("Given the items ", ", say in words what is needed now.", ", "),
            Prompt("After ", ", what kind of item would you recommend?", ", "),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.descriptions
