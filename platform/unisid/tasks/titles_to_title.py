"""From a history of titles, the next item's title."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Preferences in words alone, which the language model has seen in pretraining."""

    source = "samples"
    wordings = Worded(
        ours=(Prompt("Titles so far:\n", "\nNext title:"),),
        thesis=(Prompt("The user has played the following {category}s before: ", "", ",\t"),),
        lcrec=(
            Prompt("A user took these items, oldest first: ", ". What is the title of the next one?", ", "),
            Prompt('After "', '", which title is likely to follow?', ", "),
            Prompt("Titles in a shopper's order: ", ". Name the next title.", ", "),
            Prompt("Somebody liked ", ". What title would you suggest now?", ", "),
            Prompt("Go on with this list of titles: ", ".", ", "),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.titles

    def responses(self, words: Words) -> pa.Array:
        return words.titles
