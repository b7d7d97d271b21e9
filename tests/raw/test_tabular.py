"""Tables in parts: every row in one of them, the wanted columns alone, and an account of what was not read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.errors import DataError
from unisid.raw import tabular
from unisid.raw.folders import Found
from unisid.raw.parts import part
from unisid.raw.rows import unread_of
from unisid.raw.tabular import parts_of, read_items, read_rows


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 9))
def test_runs_of_row_groups_hold_every_row_once(tmp_path_factory, groups, most):
    path = str(tmp_path_factory.mktemp("parts") / "rows.parquet")
    numbers = iter(range(sum(groups)))
    with pq.ParquetWriter(path, pa.schema([("n", pa.int64())])) as writer:
        for size in groups:
            writer.write_table(
                pa.table({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}), max(1, size)
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tabular, "ROWS_PER_PART", most)
        parts = parts_of("interactions", Found(path))
    assert len(parts) >= 1
    read = [read_rows(one, ("n",)) for one in parts]
    assert [n for table, _ in read for n in table["n"].to_pylist()] == list(range(sum(groups)))
    for table, rows in read:
        assert [rows.at(place) for place in range(len(table))] == [f"row {n + 1}" for n in table["n"].to_pylist()]


def test_text_files_are_one_part_each_and_their_rows_have_lines(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a\tb\n1\t2\n\n3\t4\n")
    (only,) = parts_of("interactions", Found(str(path), "dt=2024-05-01"))
    assert only == part("interactions", str(path), partition="dt=2024-05-01")
    table, rows = read_rows(only, ("b", "dt"))
    assert table.to_pydict() == {"b": ["2", "4"], "dt": ["2024-05-01"] * 2}
    assert (rows.at(0), rows.at(1)) == ("line 2", "line 4")
    assert unread_of(table)[0].keys() == {"a"}


def test_a_column_of_the_file_goes_before_that_of_its_folder(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,dt\n1,own\n")
    table, _ = read_rows(part("interactions", str(path), partition="dt=2024"), ("a", "dt"))
    assert table["dt"].to_pylist() == ["own"]


def test_items_have_further_texts_and_remember_what_holds_none(tmp_path):
    path = tmp_path / "items.parquet"
    columns = {"id": ["1"], "name": ["Pen"], "color": ["blue"], "price": [2.5], "raw": [b"\x00"], "none": pa.nulls(1)}
    pq.write_table(pa.table(columns), path)
    (only,) = parts_of("items", Found(str(path)))
    table = read_items(only, "id", "name", (), ())
    assert table["color"].to_pylist() == ["blue"]
    assert {"price": "double", "raw": "binary"}.items() <= unread_of(table)[0].items()
    assert "price" not in table.column_names
    assert read_items(only, "id", "name", ("color",), ()).num_columns < table.num_columns


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("x.parquet", b"PAR1 cut", "is not a whole Parquet file"),
        ("x.parquet", b"\x93NUMPY", "a NumPy array"),
        ("x.jsonl", b'{"a": 1}\n', "no column 'b'"),
        ("x.csv", b"a\n1\n", "no column 'b'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, data, why):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=why):
        [read_rows(one, ("b",)) for one in parts_of("interactions", Found(str(path)))]
