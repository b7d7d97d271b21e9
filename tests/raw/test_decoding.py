"""Bytes of any encoding become the same UTF-8; a wrong one is named with its line."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import ConfigError, DataError
from unisid.raw.decoding import check_encoding, decoded

TEXTS = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]))
MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@given(TEXTS, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"]))
def test_an_encoding_that_is_given_is_read(text, encoding):
    assert decoded(text.encode(encoding), "x.csv", encoding).decode("utf8") == text


@given(TEXTS.filter(bool), st.sampled_from(sorted(MARKS)), st.sampled_from(["", "latin-1"]))
def test_a_mark_counts_more_than_what_is_given(text, encoding, other):
    assert decoded(MARKS[encoding] + text.encode(encoding), "x.csv", other).decode("utf8") == text


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"a\nb\xe9c", "", r"x.csv, line 6: is not UTF-8 \(byte 0xe9 after 'b'\); set .* such as cp1252 or latin-1"),
        (b"a\nb\x81", "cp1252", r"x.csv, line 6: is not cp1252 \(byte 0x81 after 'b'\)"),
        (b"a\n\0b", "", "x.csv, line 6: holds the byte 0 and is no text; write it again"),
        ("abc".encode("utf-16-le"), "", "UTF-16 without a byte order mark: set catalog.dataset.encoding to utf-16-le"),
    ],
    ids=["latin", "cp1252", "zero", "wide"],
)
def test_what_is_no_text_is_named_with_its_line(data, encoding, message):
    with pytest.raises(DataError, match=message):
        decoded(data, "x.csv", encoding, first=5)


def test_an_encoding_that_python_lacks_is_refused():
    check_encoding("")
    with pytest.raises(ConfigError, match="there is no encoding of text 'klingon'; known are utf-8"):
        check_encoding("klingon")
