"""Prompt texts around semantic ids and titles, the same in training and in serving.

A prompt is a head, pieces (items, as semantic ids, titles or descriptions) with a separator between them, and a tail.
A task has several wordings, each a list of prompts of which the first is used in serving (`tasks`); `Prompts` are those
of a trained model. Every line of a prompt of our own wording that is not an item ends in a colon. A cleaned
title holds no line break, no angle bracket and no `[INST]` (Llama 2's marker, which is plain text) and ends in no
colon, so that no title can pass for a line of such a prompt, for a semantic id or for such a marker of a chat
template. Templates that mark turns with bare words (`USER:`) have no marker that a title could be kept from holding.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from unisid.errors import ConfigError

LONGEST_TITLE = 100
"""Characters of a title that are kept, cut between words."""
SEPARATOR = "\n"
"""Stands between the items of a prompt of our own wording."""
CATEGORY = "{category}"
"""Stands in a prompt where the name of the shop's category is said."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
BRACKETS = str.maketrans("<>", "‹›")
MARKER = re.compile(r"\[(\s*/?\s*(?:INST|SYS)\s*)\]", re.IGNORECASE)
"""A marker of templates such as Llama 2's."""


Wordings = Literal["ours", "thesis", "lcrec"]
"""Ours: one short prompt a task. Thesis: one a task, of the UQF thesis's listings B.13 to B.17 and, of what these lack,
TS-Rec's. lcrec: several a task in the manner of LC-Rec, in words of our own."""


class Prompt(NamedTuple):
    """The texts before the items, after them and between them."""

    head: str
    tail: str
    separator: str = SEPARATOR

    def of(self, category: str) -> "Prompt":
        """The prompt with the category's name filled in.

        Raises ConfigError where the prompt has a place for it and the name is empty.
        """
        if CATEGORY in self.head + self.tail and not category:
            raise ConfigError(
                f"instructions.category: is empty, but the wording '{self.head.strip()}' names the shop's category; "
                "must be a word for its items, such as 'Office Product'"
            )
        return self._replace(head=self.head.replace(CATEGORY, category), tail=self.tail.replace(CATEGORY, category))


class Worded(NamedTuple):
    """A task's prompts by wording."""

    ours: tuple[Prompt, ...]
    thesis: tuple[Prompt, ...]
    lcrec: tuple[Prompt, ...]


NEXT = Prompt("Items so far:\n", "\nNext item:")
"""A history of semantic ids; the response is the next item's."""
TITLE_TO_SID = Prompt("Title:\n", "\nIts item:")
"""One title; the response is its item's semantic id."""
SID_TO_TITLE = Prompt("Item:\n", "\nIts title:")
"""One semantic id; the response is its item's title."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of a language model, one object for training, validation and serving.

    `stages.instructions` writes it beside its rows, by the first prompt of each task; the training stage gives it to
    the backbone (`LanguageBackbone.ask_with`), which stores it beside its weights (`prompts.json`) and loads it again.
    `search`, `log_probs` and `loss` of a backbone then build their prompts from `next`, in the same entries as the
    training rows: so do validation, training on a model's own answers (rollouts are made by `search`, their gradients
    by `log_probs`; neither builds a prompt itself) and serving, which uses the other two for words.
    """

    next: Prompt = NEXT
    title_to_sid: Prompt = TITLE_TO_SID
    sid_to_title: Prompt = SID_TO_TITLE

    @classmethod
    def of(cls, prompt_of: "Callable[[str], Prompt]") -> "Prompts":
        """The prompts that a function returns for each kind of task."""
        return cls(*map(prompt_of, cls.__dataclass_fields__))

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self)) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Prompts":
        """The inverse of `to_json`; raises ValueError, KeyError or TypeError for other bytes."""
        found = json.loads(data)
        return cls.of(lambda kind: Prompt(*_three_texts(found[kind])))


def _three_texts(found: object) -> list[str]:
    if not isinstance(found, list) or len(found) != 3 or not all(isinstance(text, str) for text in found):
        raise ValueError(f"a prompt is {found!r}, must be three texts")
    return found


def clean(title: str, longest: int = LONGEST_TITLE) -> str:
    """A title as one line that a prompt can hold; empty where nothing is left of it. Cleaning twice changes nothing.

    Args:
        longest: characters that are kept, cut between words.
    """
    line = MARKER.sub(r"‹\1›", " ".join(CONTROL.sub(" ", title).translate(BRACKETS).split()))
    if len(line) > longest:
        kept, blank, _ = line[: longest + 1].rpartition(" ")
        line = kept if blank else line[:longest]
    return line.rstrip(": ")
