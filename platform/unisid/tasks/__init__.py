"""Tasks: kinds of prompts about items and the responses that a language model learns. One module a task.

A task says which words stand for an item, in the prompt and in the response. n items.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa

from unisid.config import PlugIn
from unisid.ops.prompts import Prompt

Source = Literal["samples", "items"]


@dataclass(frozen=True)
class Words:
    """How some items are written."""

    sids: pa.Array
    """Semantic ids [n], such as '<a_12><b_3><c_7>'."""
    titles: pa.Array
    """Titles [n], as `ops.prompts.clean` leaves them; empty where an item has none."""


class TaskConfig(PlugIn):
    """Base of the tasks. An item whose words are empty is left out of a prompt; as a response, it makes no row."""

    source: ClassVar[Source]
    """Source of a row: a sample (predict the target from the history) or an item (describe it)."""
    prompt: ClassVar[Prompt]
    """What stands around the items."""

    @abstractmethod
    def pieces(self, words: Words) -> pa.Array:
        """The texts [n] that stand for the items in the prompt."""

    @abstractmethod
    def responses(self, words: Words) -> pa.Array:
        """The texts [n] that answer with the items."""
