"""Tasks: kinds of prompts about items and the responses that a language model learns. One module a task.

A task says which words stand for an item, in the prompt and in the response, and how the prompt is worded. n items
(or tokens, of a task about these).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

from unisid.config import PlugIn
from unisid.ops.prompts import Prompt, Worded, Wordings

Source = Literal["samples", "items", "tokens"]


@dataclass(frozen=True)
class Words:
    """How some items are written."""

    sids: pa.Array
    """Semantic ids [n], such as '<a_12><b_3><c_7>'."""
    titles: pa.Array
    """Titles [n], as `ops.prompts.clean` leaves them; empty where an item has none."""
    descriptions: pa.Array
    """Descriptions [n], cleaned likewise; empty where an item has none, and where no task reads them."""


class TaskConfig(PlugIn):
    """Base of the tasks. An item whose words are empty is left out of a prompt; as a response, it makes no row."""

    source: ClassVar[Source]
    """Source of a row: a sample (predict the target from the history), an item (describe it) or a token that items have
    (say what these share)."""
    wordings: ClassVar[Worded]
    """What stands around the items, by wording: one or more prompts, of which the first serves."""
    needs: ClassVar[tuple[Literal["description"], ...]] = ()
    """Columns of the catalogue, beside the title, that it reads."""

    def prompts(self, wordings: Wordings, category: str) -> tuple[Prompt, ...]:
        """The prompts of a wording, with the category's name in them.

        Raises ConfigError where one says it and there is none.
        """
        return tuple(prompt.of(category) for prompt in getattr(self.wordings, wordings))

    @abstractmethod
    def pieces(self, words: Words) -> pa.Array:
        """The texts [n] that stand for the items in the prompt."""

    @abstractmethod
    def responses(self, words: Words) -> pa.Array:
        """The texts [n] that answer with the items."""
