"""What a file holds by its first bytes: a codec, a byte order mark, a table, or what is no table and why."""

import bz2
import codecs
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.orc
import pytest

from unisid.raw.content import NO_TABLES, codec_of, marked_encoding, no_table


def written(write) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def workbook(stream):
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("[Content_Types].xml", "")


def archive(stream):
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("rows.csv", "a")


def tar(stream):
    with tarfile.open(fileobj=stream, mode="w") as file:
        file.addfile(tarfile.TarInfo("rows.csv"))


TABLE = pa.table({"a": [1]})
FILES = {
    "an Excel workbook": written(workbook),
    "a ZIP archive": written(archive),
    "an empty ZIP archive": written(lambda stream: zipfile.ZipFile(stream, "w").close()),
    "a tar archive": written(tar),
    "a NumPy array": written(lambda stream: np.save(stream, np.zeros(1))),
    "an Arrow IPC": written(lambda stream: pyarrow.feather.write_feather(TABLE, stream, compression="uncompressed")),
    "an ORC file": written(lambda stream: pyarrow.orc.write_table(TABLE, stream)),
    "an HTML page": b" \n<!DOCTYPE html><html>",
    "compressed twice (gzip inside)": gzip.compress(b"a,b"),
}


@pytest.mark.parametrize(("words", "data"), FILES.items(), ids=FILES)
def test_what_is_no_table_is_named_with_what_would_be_right(words, data):
    assert no_table(data).startswith(words)
    assert ";" in no_table(data)


@pytest.mark.parametrize("head", [b"item_id,title\n", b'{"a": 1}', b"", b"PK\n", "größe\n".encode("latin-1")])
def test_text_may_be_a_table(head):
    assert no_table(head) == ""


def test_what_is_known_by_its_first_bytes_is_told_apart():
    starts = sorted(NO_TABLES)
    assert not [(a, b) for a in starts for b in starts if a != b and b.startswith(a)]


@pytest.mark.parametrize(("codec", "compress"), [("gzip", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_codecs_by_what_they_write(codec, compress):
    assert codec_of(compress(b"a")) == codec
    assert codec_of(b"a,b\n") == ""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding_that_takes_it_off(encoding):
    data = "größe".encode(encoding)
    assert marked_encoding(data) == encoding
    assert data.decode(marked_encoding(data)) == "größe"
    assert marked_encoding(codecs.BOM_UTF32_BE + b"\0\0\0a") == "utf-32"
    assert marked_encoding("größe".encode()) == ""
