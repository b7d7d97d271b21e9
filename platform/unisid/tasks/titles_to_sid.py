"""From a history of titles, the next item's semantic id."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Ties words to what serving answers."""

    source = "samples"
    wordings = Worded(
        ours=(Prompt("Titles so far:\n", "\nNext item:"),),
        thesis=(
            Prompt(
                'The user has interacted with the following {category} items in chronological order: "',
                '".Can you predict the next item the user may expect?',
                '", "',
            ),
        ),
        lcrec=(
            Prompt("A user took items of these titles, oldest first: ", ". Which item comes next?", ", "),
            Prompt("Titles taken so far: ", ". Name the item that follows.", ", "),
            Prompt("Somebody chose ", ". Predict the item that they choose next.", ", "),
            Prompt("Which item would you recommend to a reader of ", "?", ", "),
            Prompt("The order of titles is ", ". Give the next item.", ", "),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.sids
