"""What errors call a row and a value, and what a table remembers of its unread columns."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.raw.rows import LONGEST, MOST, Lines, Numbered, listed, shown, unread_of, with_unread


def test_rows_are_counted_from_one_or_have_a_line():
    assert Numbered().at(0) == "row 1"
    assert Numbered(first=11, noun="fragment 2, row").at(4) == "fragment 2, row 15"
    assert Lines([2, 3, 7]).at(2) == "line 7"


@given(st.text(max_size=2 * LONGEST))
def test_a_value_is_one_printable_line(value):
    found = shown(value)
    assert found.isprintable()
    assert len(found) <= LONGEST + 3
    assert (found == value) == (value.isprintable() and len(value) <= LONGEST)


def test_many_names_are_counted():
    names = [f"n{number}" for number in range(MOST + 2)]
    assert listed(names[:2]) == "n0, n1"
    assert listed(names).endswith(f"n{MOST - 1}, ... (2 more)")
    assert listed(["a\nb"]) == "a\N{REPLACEMENT CHARACTER}b"


@settings(max_examples=20)
@given(st.dictionaries(st.text(), st.text()), st.booleans())
def test_what_was_not_read_is_remembered(unread, complete):
    table = pa.table({"a": [1]}).replace_schema_metadata({"other": "x"})
    assert unread_of(table) == ({}, True)
    assert unread_of(with_unread(table, unread, complete)) == (unread, complete)
