"""From a description, its item's semantic id."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """The thesis's second task with what the shop says of an item in place of its title."""

    source = "items"
    needs = ("description",)
    wordings = Worded(
        ours=(Prompt("Description:\n", "\nIts item:"),),
        thesis=(Prompt("Which item has the description: ", "?"),),
        lcrec=(
            Prompt('An item is described as follows: "', '" Which item is it?'),
            Prompt('Find the item of which the shop says: "', '"'),
            Prompt('"', '" describes which item?'),
            Prompt('Somebody looks for this: "', '" Name the item.'),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.descriptions

    def responses(self, words: Words) -> pa.Array:
        return words.sids
