"""Prompt texts around semantic ids and titles, the same in training and in serving.

A prompt is a head, pieces (items, as semantic ids or titles) with `SEPARATOR` between them, and a tail. Every line of
a prompt that is not an item ends in a colon. A cleaned title holds no line break, no angle bracket and no `[INST]`
(Llama 2's marker, which is plain text) and ends in no colon, so that no title can pass for a line of the prompt, for a
semantic id or for such a marker of a chat template. Templates that mark turns with bare words (`USER:`) have no marker
that a title could be kept from holding.
"""

import re
from typing import NamedTuple

LONGEST_TITLE = 100
"""Characters of a title that are kept, cut between words."""
SEPARATOR = "\n"
"""Stands between the items of a prompt."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
BRACKETS = str.maketrans("<>", "‹›")
MARKER = re.compile(r"\[(\s*/?\s*(?:INST|SYS)\s*)\]", re.IGNORECASE)
"""A marker of templates such as Llama 2's."""


class Prompt(NamedTuple):
    """What stands before the items and after them."""

    head: str
    tail: str


NEXT = Prompt("Items so far:\n", "\nNext item:")
"""A history of semantic ids; the response is the next item's."""
TITLE_TO_SID = Prompt("Title:\n", "\nIts item:")
"""One title; the response is its item's semantic id."""
SID_TO_TITLE = Prompt("Item:\n", "\nIts title:")
"""One semantic id; the response is its item's title."""


def clean(title: str) -> str:
    """A title as one line that a prompt can hold; empty where nothing is left of it. Cleaning twice changes nothing."""
    line = MARKER.sub(r"‹\1›", " ".join(CONTROL.sub(" ", title).translate(BRACKETS).split()))
    if len(line) > LONGEST_TITLE:
        kept, blank, _ = line[: LONGEST_TITLE + 1].rpartition(" ")
        line = kept if blank else line[:LONGEST_TITLE]
    return line.rstrip(": ")
