"""Shop texts made plain: HTML taken out, white space collapsed."""

import html
import re

BLOCK = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<![^<>]*>")
PLACEHOLDER = "item without text"
"""What stands for a text with nothing in it, so that every item has one."""


def clean_text(text: str) -> str:
    """The text without comments, scripts, tags and entities, its white space collapsed to single blanks.

    Texts escaped several times over ('&amp;lt;b&amp;gt;') are undone to the end: cleaning twice changes nothing.
    """
    while "<" in text or "&" in text:
        plain = TAG.sub(" ", BLOCK.sub(" ", html.unescape(text)))
        if plain == text:
            break
        text = plain
    return " ".join(text.split())


def has_markup(text: str) -> bool:
    """Whether there is an HTML tag in the text, escaped or not. Entities alone ('&amp;') are no markup."""
    return "<" in (plain := html.unescape(text)) and TAG.search(plain) is not None
