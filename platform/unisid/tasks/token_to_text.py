"""From a token, what its items have in common (TS-Rec, task 2 of TS-Align)."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches what single codes say."""

    source = "tokens"
    wordings = Worded(
        ours=(Prompt("Token:\n", "\nCommon traits:"),),
        thesis=(Prompt('Describe the typical scope and shared features of items associated with the token: "', '"'),),
        lcrec=(
            Prompt("What do the items of token ", " have in common?"),
            Prompt("Describe what token ", " stands for."),
            Prompt("Token ", " is shared by items of what kind?"),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.sids

    def responses(self, words: Words) -> pa.Array:
        return words.descriptions
