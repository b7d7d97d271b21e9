"""From what the items of a token have in common, the token (TS-Rec, task 1 of TS-Align)."""

from dataclasses import dataclass

import pyarrow as pa

from unisid.ops.prompts import Prompt, Worded
from unisid.tasks import TaskConfig, Words


@dataclass(frozen=True, kw_only=True)
class Config(TaskConfig):
    """Teaches single codes by meaning. The answer is one token, never a whole semantic id."""

    source = "tokens"
    wordings = Worded(
        ours=(Prompt("Common traits:\n", "\nTheir token:"),),
        thesis=(
            Prompt(
                "Identify the specific SID token shared by items that exhibit the following scope and "
                'characteristics: "',
                '"',
            ),
        ),
        lcrec=(
            Prompt('Items with these traits share one token: "', '" Which?'),
            Prompt('Which token stands for: "', '"?'),
            Prompt('Give the token of items described as "', '"'),
        ),
    )

    def pieces(self, words: Words) -> pa.Array:
        return words.descriptions

    def responses(self, words: Words) -> pa.Array:
        return words.sids
