"""What came from data, as a person may see it: no character of it moves the cursor, hides, or turns the text round.

A terminal obeys control characters, and both terminals and browsers obey bidirectional overrides; a title with either
can forge what stands around it, and an id with an invisible character looks like another id. All of these are shown by
their escapes (`\\x1b`, `\\u202e`). Text of every script stays as it is, with the joiners and marks that it needs.
"""

import re
import unicodedata

SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Controls, surrogates, and all that is drawn as nothing."""
JOINERS = "\u200b\u200c\u200d\u2060"
"""Between letters of scripts without case, and between emoji, they are spelling."""
MARKS = "\u061c\u200e\u200f"
"""They have a sense beside letters that run from right to left."""
FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
"""The flag of a region, such as Scotland: a black flag, and its name in invisible letters."""


def printable(text: str, lines: bool = False) -> str:
    """The text with its control and invisible characters shown by escapes.

    Args:
        lines: whether line breaks and tabs stay: for whole outputs, whose single values were cleaned before.
    """
    if (text.isascii() and text.isprintable()) or not SUSPECT.search(text):
        return text
    kept: list[str] = []
    base, flag_until = "", 0
    leftward = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text if c not in MARKS)
    for place, char in enumerate(text):
        if char == "\U0001f3f4" and (flag := FLAG.match(text, place)):
            flag_until = flag.end()
        if not SUSPECT.match(char) or place < flag_until or (lines and char in "\n\t"):
            kept.append(char)
            base = base if unicodedata.category(char) in ("Mn", "Sk") else char
        elif (leftward and char in MARKS) or _is_spelling(char, base, text[place + 1 : place + 2]):
            kept.append(char)
        else:
            kept.append(char.encode("unicode_escape").decode())
            base = ""
    return "".join(kept)


def printable_lines(text: str) -> str:
    """The same of a message whose line breaks may come from data: what follows one is indented, and passes for no
    message of its own."""
    first, *more = printable(text, lines=True).split("\n")
    return "\n".join([first, *(line if line.startswith("  ") or not line else f"  {line}" for line in more)])


def _is_spelling(char: str, base: str, after: str) -> bool:
    """Whether an invisible character belongs to how its text is written, between the letter or emoji `base` and the
    character `after`."""
    kind = unicodedata.category(base) if base else ""
    if char in JOINERS:
        return kind in ("Lo", "Mc", "So")
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        keycap = base in ("#", "*", *"0123456789") and after == "\u20e3"
        return keycap or (bool(base) and not base.isascii() and kind in ("Lo", "So", "Sm", "Po", "Pd"))
    return False
