"""What came from data is shown: nothing of it moves the cursor, hides, or turns the text round; all scripts stay."""

import copy
import pickle

import pytest

from unisid.errors import DataError
from unisid.printable import printable, printable_lines

DEVIOUS = [
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("\x9b2J", "\\x9b2J"),
    ("one\ntwo\r\tthree\x00\x7f\x08", "one\\ntwo\\r\\tthree\\x00\\x7f\\x08"),
    ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
    *((f"a{chr(code)}b", f"a\\u{code:04x}b") for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    ("i\u200b3", "i\\u200b3"),
    ("i\u200d3", "i\\u200d3"),
    ("i3\u200f", "i3\\u200f"),
    ("i3\ufe0f", "i3\\ufe0f"),
    ("\ufeffid", "\\ufeffid"),
    ("in\xadvisible", "in\\xadvisible"),
    ("i3\U000e0041", "i3\\U000e0041"),
    ("\u3164", "\\u3164"),
    ("caf\udce9", "caf\\udce9"),
]
HONEST = [
    "Gel pen, blue — 2 km, 50 %",
    "Ünïcödé, Łódź, Ελληνικά, Кириллица, e\u0301",
    "日本語のタイトル, 中文, 한국어",
    "שלום עולם\u200f!",
    "مرحبا بالعالم",
    "می\u200cخواهم",
    "क\u094d\u200dष and ප\u0dca\u200dර",
    "ภาษา\u200bไทย",
    "👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 👍🏽 🧑🏽\u200d💻 🏳\ufe0f\u200d🌈 3\ufe0f\u20e3 ™\ufe0f",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "葛\U000e0100城",
]


@pytest.mark.parametrize(("text", "shown"), DEVIOUS)
def test_what_a_terminal_obeys_or_hides_is_shown(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("text", HONEST)
def test_every_script_stays_as_it_is(text):
    assert printable(text) == text


def test_whole_outputs_keep_their_lines():
    assert printable("a\tb\nc\x1b\r", lines=True) == "a\tb\nc\\x1b\\r"


def test_a_line_break_from_data_begins_no_message():
    assert printable_lines("item 'x\nerror: all is lost\n    as before'") == (
        "item 'x\n  error: all is lost\n    as before'"
    )


def test_errors_are_fit_to_be_shown_and_travel_whole():
    error = DataError("item '\x1b[2J\u202e\nerror: forged': is not there")
    assert str(error) == "item '\\x1b[2J\\u202e\n  error: forged': is not there"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.args, str(twin)) == (DataError, error.args, str(error))
