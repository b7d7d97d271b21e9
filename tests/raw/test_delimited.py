"""Delimited text as people export it: read, or an error that names the file, the line and the cause."""

import bz2
import csv
import gzip
import io
import lzma
import re
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.datasets.reading import read_all
from unisid.datasets import tables
from unisid.errors import ConfigError, DataError
from unisid.raw import delimited
from unisid.raw.rows import unread_of

ITEMS = "item_id,title,description\n007,Pen,fine\n8,Ink,\n"
READ = [
    {"item_id": "007", "title": "Pen", "description": "fine"},
    {"item_id": "8", "title": "Ink", "description": ""},
]


@pytest.fixture
def items_of(tmp_path):
    """The items that a file of these bytes gives."""

    def read(data, name="items.csv", **settings):
        rows = pa.table({"user_id": ["ann"], "item_id": ["007"], "timestamp": [1500000000]})
        pq.write_table(rows, tmp_path / "interactions.parquet")
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        paths = {"items": str(tmp_path / name), "interactions": str(tmp_path / "interactions.parquet")}
        return read_all(tables.Config(**(paths | settings)))[0]

    return read


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    sign=st.sampled_from(list(delimited.SEPARATORS)),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    encoding=st.sampled_from(["utf8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_writes_is_read_and_every_row_has_its_line(rows, sign, end, quoting, encoding):
    assume(quoting == csv.QUOTE_ALL or not any("\r" in cell for row in rows for cell in row))  # left unquoted
    file, begins = io.StringIO(newline=""), []
    for row in [("item_id", "title", "note"), *rows]:
        begins.append(len(re.findall("\r\n|\r|\n", file.getvalue())) + 1)
        csv.writer(file, delimiter=sign, lineterminator=end, quoting=quoting).writerow(row)
    text = delimited.text_of(file.getvalue().encode(encoding), "x.csv", delimited.Format(), ["item_id", "title"])
    table, unread = delimited.table_of(text)
    assert table.column_names == ["item_id", "title", "note"]
    assert not unread
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert [text.at(index) for index in range(len(rows))] == [f"line {line}" for line in begins[1:]]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|", "\x01"])
@pytest.mark.parametrize("name", ["items.csv", "items.tsv", "items.txt"])
def test_the_separator_is_found_in_the_header(items_of, sign, name):
    assert items_of(ITEMS.replace(",", sign), name) == READ


def test_a_separator_inside_names_and_cells_is_none(items_of):
    assert items_of("item_id;title;price, net, in EUR\n1;a, b, c;2,5\n") == [
        {"item_id": "1", "title": "a, b, c", "price, net, in EUR": "2,5"}
    ]


def test_the_separator_that_a_spreadsheet_declares(items_of):
    assert items_of("sep=;\r\n" + ITEMS.replace(",", ";").replace("\n", "\r\n")) == READ


@pytest.mark.parametrize(("sign", "setting"), [("^", "^"), ("\t", "tab"), ("\t", "\\t"), ("\t", "\t")])
def test_a_separator_that_is_set(items_of, sign, setting):
    assert items_of(ITEMS.replace(",", sign), delimiter=setting) == READ


def test_a_missing_column_names_the_separator_as_its_cause(items_of):
    with pytest.raises(
        DataError,
        match=r"items.csv: no column 'item_id'.*; its columns look separated by ';', "
        r"and catalog.dataset.delimiter is ',': set it to what stands "
        r"between",
    ):
        items_of(ITEMS.replace(",", ";"), delimiter=",")
    with pytest.raises(
        DataError,
        match=r"no column 'item_id'.*; if that is several columns, "
        r"set catalog.dataset.delimiter",
    ):
        items_of(ITEMS.replace(",", "^"))


@pytest.mark.parametrize("setting", ["::", '"', "\n"])
def test_what_is_no_separator_is_refused_before_anything_is_read(setting):
    with pytest.raises(ConfigError, match=r"catalog.dataset.delimiter: .* is no separator; it must be one character"):
        tables.Config(delimiter=setting)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(items_of, encoding):
    text = ITEMS.replace("fine", "caf\u00e9 \u20ac")
    assert items_of(text.encode(encoding))[0] == READ[0] | {"description": "caf\u00e9 \u20ac"}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "cp932"])
def test_an_encoding_that_is_set(items_of, encoding):
    word = "\u30da\u30f3" if encoding == "cp932" else "caf\u00e9"
    assert items_of(ITEMS.replace("fine", word).encode(encoding), encoding=encoding)[0]["description"] == word


def test_another_encoding_is_named_with_the_line(items_of):
    text = 'item_id,title,description\n007,"Pen\nblue",fine\n8,caf\u00e9,\n'
    with pytest.raises(
        DataError,
        match=r"items.csv, line 4: is not UTF-8 \(byte 0xe9 after '8,caf'\); set "
        r"catalog.dataset.encoding to .* such as cp1252 or latin-1",
    ):
        items_of(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"items.csv, line 2: is not cp1252 \(byte 0x81"):
        items_of(ITEMS.encode().replace(b"fine", b"\x81"), encoding="cp1252")
    with pytest.raises(DataError, match=r"items.csv, line 1: is not UTF-8"):
        items_of("item_id,title,pr\u00e9cis\n1,a,b\n".encode("latin-1"))


def test_an_encoding_that_fails_without_a_place_is_named(items_of):
    with pytest.raises(DataError, match=r"items.csv: is not punycode \(.*\); set catalog.dataset.encoding"):
        items_of(ITEMS, encoding="punycode")


@pytest.mark.parametrize("encoding", ["klingon", "hex", "undefined", "utf\x008"])
def test_what_is_no_encoding_is_refused_before_anything_is_read(encoding):
    with pytest.raises(ConfigError, match=r"catalog.dataset.encoding: there is no encoding of text"):
        tables.Config(encoding=encoding)


def test_wide_characters_without_a_mark_are_named(items_of):
    with pytest.raises(
        DataError,
        match=r"items.csv, line 1: .*looks like UTF-16 .*"
        r"set catalog.dataset.encoding to utf-16-le",
    ):
        items_of(ITEMS.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"items.csv, line 3: is not UTF-8 .*looks like UTF-16 .* to utf-16-be$"):
        items_of(ITEMS.replace("Ink", "In\u00e9").encode("utf-16-be"))
    with pytest.raises(DataError, match=r"items.csv, line 3: holds the byte 0 and is no text; write it again"):
        items_of(ITEMS.encode().replace(b"Ink", b"I\0k"))


def test_a_file_without_header(items_of, tmp_path):
    rows = ITEMS.partition("\n")[2].replace(",", ";")
    names = ("item_id", "title", "description")
    assert items_of(rows, items_header=names) == READ
    assert items_of(ITEMS, items_header=names) == READ, "a header that is there all the same is no row"
    with pytest.raises(
        DataError,
        match=r"no column 'item_id'.*if its first line is no header, name the columns in "
        r"catalog.dataset.items_header",
    ):
        items_of(rows)
    with pytest.raises(
        DataError,
        match=r"items.csv, line 1: has 3 cells with ';' between them, "
        r"catalog.dataset.items_header names 2 columns: item_id, title",
    ):
        items_of(rows, items_header=("item_id", "title"), delimiter=";")
    (tmp_path / "plain.csv").write_text("ann\t007\t1500000000\nann\t8\tsoon\n")
    with pytest.raises(DataError, match=r"plain.csv, column 'timestamp', line 2: 'soon' is no time"):
        items_of(
            ITEMS, interactions=str(tmp_path / "plain.csv"), interactions_header=("user_id", "item_id", "timestamp")
        )


def test_errors_name_the_line_of_the_file(items_of):
    head = '\n\nitem_id,"title",description\n\n'
    rows = '1,"two\nlines","and\r\nthree\nmore"\r\n\n2,b,c\n'
    assert len(items_of(head + rows)) == 2
    with pytest.raises(DataError, match=r"items.csv, column 'item_id', line 11: the id is missing"):
        items_of(head + rows + ",x,y\n")
    with pytest.raises(
        DataError, match=r"items.csv, line 11: has 2 cells with ',' between them, its columns are 3: '3,x'"
    ):
        items_of(head + rows + "3,x\n4,y,z\n")


@pytest.mark.parametrize(("row", "count"), [("3,x,y,", 4), ("3,x,y,z", 4), ("3", 1), ("   ", 1)])
def test_ragged_rows_are_named(items_of, row, count):
    with pytest.raises(
        DataError, match=rf"items.csv, line 4: has {count} cells with ',' between them, its columns are 3"
    ):
        items_of(ITEMS + row + "\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_every_end_of_line(items_of, end):
    text = ITEMS.rstrip("\n").replace("\n", end or "\n") + end
    assert items_of(text) == READ


def test_separators_at_the_ends_of_all_lines_make_no_columns(items_of):
    assert items_of("item_id,title,description,,\n007,Pen,fine,,\n8,Ink,,,\n") == READ


def test_a_column_without_a_name_is_left_out_and_named(tmp_path):
    (tmp_path / "items.csv").write_text(",item_id,title\n0,1,a\n1,2,b\n")
    (tmp_path / "rows.csv").write_text("user_id,item_id,timestamp,event,price\nann,1,5,view,2\n")
    dataset = tables.Config(items=str(tmp_path / "items.csv"), interactions=str(tmp_path / "rows.csv")).build()
    items, interactions = (dataset.read(part) for part in dataset.parts())
    assert items.to_pylist() == [{"item_id": "1", "title": "a"}, {"item_id": "2", "title": "b"}]
    assert unread_of(items)[0] == {"column 1": "no name"}
    assert unread_of(interactions)[0] == {"event": "", "price": ""}


def test_a_column_that_occurs_twice(items_of, tmp_path):
    with pytest.raises(DataError, match=r"items.csv: 2 columns are called 'title'; give each a name of its own"):
        items_of("item_id,title,title\n1,a,b\n")
    with pytest.raises(DataError, match=r"items.csv: 2 columns are called 'brand'"):
        items_of("item_id,title,brand,brand\n1,a,b,c\n")
    columns = [pa.array(["1"]), pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.table(columns, ["item_id", "title", "title"]), tmp_path / "i.parquet")
    with pytest.raises(DataError, match=r"i.parquet: 2 columns are called 'title'"):
        items_of(ITEMS, items=str(tmp_path / "i.parquet"))
    (tmp_path / "rows.csv").write_text("user_id,item_id,timestamp,timestamp\nann,1,5,5\n")
    with pytest.raises(DataError, match=r"rows.csv: 2 columns are called 'timestamp'"):
        items_of(ITEMS, interactions=str(tmp_path / "rows.csv"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; its first line"),
        (b"\n\n", "is empty; its first line"),
        (b"\xef\xbb\xbf", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
    ],
)
def test_an_empty_file_is_named(items_of, data, message):
    with pytest.raises(DataError, match=rf"items.csv: {message}"):
        items_of(data)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\n"])
def test_a_header_alone_is_a_table_without_rows(items_of, end):
    assert items_of("item_id,title,description" + end) == []


@pytest.mark.parametrize("tail", ['3,c,"open\n4,d,e\n5,f,g\n', '3,c,"open\n', '3,"open,e\n4,d,e\n'])
def test_a_quotation_that_stays_open_takes_no_rows_with_it(items_of, tail):
    with pytest.raises(DataError, match=r"items.csv, line 4: "):
        items_of(ITEMS + tail)


def test_quotation_marks_inside_cells_are_text(items_of):
    assert [row["title"] for row in items_of('item_id,title\n1,6" pen\n2,"a ""b"" c"\n3,"two\nlines"\n')] == [
        '6" pen',
        'a "b" c',
        "two\nlines",
    ]


def test_fields_of_a_million_characters(items_of, monkeypatch):
    long = "x" * 1_000_000
    assert items_of(f'item_id,title\n1,{long}\n2,"{long}\n{long}"\n')[1]["title"] == f"{long}\n{long}"
    with pytest.raises(DataError, match=r"line 4: the id is missing"):
        items_of(f'item_id,title\n1,"{long}\n{long}"\n,b\n')
    monkeypatch.setattr(delimited, "BLOCK", 1 << 16)
    with pytest.raises(
        DataError, match=r"items.csv: cannot be read .*longer than.*quotation mark that is never closed"
    ):
        items_of(f"item_id,title\n1,{long}\n")


@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz", "items.tsv", "items.bin"])
@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: pa.compress(data, "zstd", asbytes=True),
        lambda data: gzip.compress(data[:30]) + gzip.compress(data[30:]),
    ],
)
def test_compression_is_found_by_content(items_of, pack, name):
    assert items_of(pack(ITEMS.encode()), name) == READ


def test_a_name_that_claims_compression_is_not_believed(items_of):
    assert items_of(ITEMS, "items.csv.gz") == READ


def test_a_parquet_file_under_any_name(items_of, tmp_path):
    pq.write_table(pa.Table.from_pylist(READ), tmp_path / "p")
    assert items_of((tmp_path / "p").read_bytes(), "items.csv") == READ
    with pytest.raises(DataError, match=r"items.csv.gz: is a Parquet file; give it as it is written, not compressed"):
        items_of(gzip.compress((tmp_path / "p").read_bytes()), "items.csv.gz")
    with pytest.raises(DataError, match=r"items.parquet: is not a whole Parquet file"):
        items_of(ITEMS, "items.parquet")


def packed(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(name):
    def write(buffer):
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, ITEMS)

    return packed(write)


def tarred(buffer):
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("items.csv"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped("items.csv"), "a ZIP archive; unpack it"),
        (zipped("[Content_Types].xml"), "an Excel workbook; export it as CSV"),
        (packed(tarred), "a tar archive; unpack it"),
        (
            packed(lambda b: feather.write_feather(pa.table({"a": [1]}), b)),
            r"an Arrow IPC \(Feather\) file; write it as",
        ),
        (b"SQLite format 3\x00" + bytes(100), "an SQLite database"),
        (b"%PDF-1.7\n" + bytes(100), "a PDF document"),
        (b"\x80\x04\x95" + bytes(100), "a Python pickle, which is never opened"),
        (b"\n<!DOCTYPE html>\n<html>", "an HTML page; fetch the file again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git LFS pointer; `git lfs pull`"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:12],
)
@pytest.mark.parametrize("name", ["items.csv", "items.jsonl", "items.gz"])
def test_what_is_no_table_is_called_what_it_is(items_of, data, message, name):
    with pytest.raises(DataError, match=rf"{name}: is {message}") as found:
        items_of(data, name)
    assert str(found.value).isprintable()


@pytest.mark.parametrize("data", [b"\x01\x02\x03\xff\x00" * 50, bytes(range(256)), b"\x1b[2J\x1b]0;x\x07,title\n1,2\n"])
def test_bytes_of_no_known_kind_never_reach_the_terminal(items_of, data):
    with pytest.raises(DataError) as found:
        items_of(data)
    assert str(found.value).isprintable()
