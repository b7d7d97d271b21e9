"""Checksums: of a stream as it passes and of a file as it lies, and the names that keep them until the record does."""

import io
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.artifacts import sums
from unisid.artifacts.sums import Summed, checksum, known, left_as, left_there

sizes = st.integers(0, 2**40)
names = st.text(st.characters(exclude_characters="/\n", exclude_categories=("Cs",)), min_size=1, max_size=20)
crcs = st.integers(0, 2**32 - 1).map(lambda value: f"crc32:{value:08x}")


@given(st.lists(st.binary(max_size=40)), st.integers(1, 17))
def test_what_passes_in_blocks_has_the_checksum_of_the_whole(blocks, block):
    stream = Summed(io.BytesIO())
    assert [stream.write(each) for each in blocks] == [len(each) for each in blocks]
    whole = b"".join(blocks)
    assert (stream.size, stream.sum) == (len(whole), f"crc32:{zlib.crc32(whole):08x}")
    assert stream.stream.getvalue() == whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "BLOCK", block)
        assert checksum(pa.BufferReader(whole)) == stream.sum


def test_a_stream_is_closed_where_it_was_opened():
    stream = Summed(io.BytesIO())
    stream.write(memoryview(bytearray(3)).cast("B"))
    stream.close()
    assert (stream.closed, stream.readable(), stream.writable(), stream.seekable()) == (False, False, True, False)


@given(st.dictionaries(names, st.tuples(sizes, crcs)))
def test_names_keep_sizes_and_checksums(files):
    assert left_there(left_as(name, *each) for name, each in files.items()) == files


def test_of_a_file_that_was_written_twice_only_the_file_says():
    left = [left_as("x", 1, "crc32:0000000a"), left_as("x", 2, "crc32:0000000a"), left_as("y", 1, "crc32:0000000b")]
    assert left_there([*left, *left, "what is this", "1-zz-x"]) == {"y": (1, "crc32:0000000b")}


def test_a_checksum_of_another_kind_is_not_known():
    assert (known("crc32:00000000"), known("sha256:00")) == (True, False)
