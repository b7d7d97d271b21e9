"""From a semantic id, its item's description."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """The thesis's second task, turned round, with what the shop says of an item in place of its title."""

    source = "items"
    needs = ("description",)
    wordings = Worded(
        ours=(Prompt("Item:\n", "\nIts description:"),),
        thesis=(Prompt('What is the description of item "', '"?'),),
        lcrec=(
            Prompt("Describe item ", "."),
            Prompt("What does the shop say of item ", "?"),
            Prompt("Tell a customer what item ", " is."),
            Prompt("Give the description of ", "."),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.descriptions
