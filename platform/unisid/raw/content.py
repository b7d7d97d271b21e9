"""What a file holds, by its first bytes and not by its name: compressed bytes, a Parquet table, or no table at all."""

import codecs

HEAD = 4096
"""How many bytes decide."""
PARQUET = b"PAR1"
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\x00": "xz",
}
"""First bytes -> the codec that reads what follows."""
EXPORT = "export it as CSV or Parquet"
UNPACK = "unpack it, and give the file of the table in it"
NO_TABLES = {
    PARQUET: "a Parquet file; give it as it is written, not compressed once more",
    b"PK\x07\x08": f"a part of a ZIP archive; {UNPACK}",
    b"PK\x05\x06": f"an empty ZIP archive; {UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"a 7-Zip archive; {UNPACK}",
    b"Rar!": f"a RAR archive; {UNPACK}",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": f"an old Office document, such as an .xls workbook; {EXPORT}",
    b"%PDF": f"a PDF document; {EXPORT}",
    b"SQLite format 3\x00": f"an SQLite database; {EXPORT}",
    b"\x89HDF\r\n": f"an HDF5 file; {EXPORT}",
    b"Obj\x01": f"an Avro file; {EXPORT}",
    b"ORC": f"an ORC file; {EXPORT}",
    b"ARROW1": "an Arrow IPC (Feather) file; write it as Parquet",
    b"FEA1": "a Feather file; write it as Parquet",
    b"\x93NUMPY": f"a NumPy array; {EXPORT}",
    b"\x80\x02": f"a Python pickle, which is never opened; {EXPORT}",
    b"\x80\x03": f"a Python pickle, which is never opened; {EXPORT}",
    b"\x80\x04": f"a Python pickle, which is never opened; {EXPORT}",
    b"\x80\x05": f"a Python pickle, which is never opened; {EXPORT}",
    b"\x89PNG": "an image; give a table",
    b"\xff\xd8\xff": "an image; give a table",
    b"version https://git-lfs": "a Git LFS pointer; `git lfs pull` fetches the file that it stands for",
}
"""First bytes -> what the file is, and what would be right."""
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks -> the encoding that takes them off."""


def codec_of(head: bytes) -> str:
    """The codec that a file with these first bytes is compressed with; none: empty."""
    return next((codec for start, codec in COMPRESSED.items() if head.startswith(start)), "")


def no_table(head: bytes) -> str:
    """Name the kind of a file that is no table, by its first bytes, and what would be right; empty for any other.

    Args:
        head: decompressed.
    """
    if head.startswith(b"PK\x03\x04"):
        workbook = b"[Content_Types].xml" in head or b"xl/" in head
        return f"an Excel workbook; {EXPORT}" if workbook else f"a ZIP archive; {UNPACK}"
    if head[257:262] == b"ustar":
        return f"a tar archive; {UNPACK}"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page; fetch the file again, for a page came in its place"
    if codec := codec_of(head):
        return f"compressed twice ({codec} inside); unpack it once"
    return next((words for start, words in NO_TABLES.items() if head.startswith(start)), "")


def marked_encoding(head: bytes) -> str:
    """The encoding that a byte order mark names; empty without one."""
    return next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), "")
