import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.artifacts.tables import read_groups, read_rows, read_table, regrouped, write_stream, write_table
from unisid.errors import ArtifactError


def test_rows_are_counted_over_files_and_groups(place):
    for index, (start, stop) in enumerate([(0, 10), (10, 11), (11, 30)]):
        table = pa.table({"number": list(range(start, stop)), "other": ["x"] * (stop - start)})
        write_table(place, "items", index, table, rows_per_group=4)
    for start in range(30):
        for stop in range(start + 1, 31):
            assert read_rows(place, "items", start, stop, ["number"]).to_pydict() == {
                "number": list(range(start, stop))
            }
    assert read_rows(place, "items", 0, 30).equals(read_table(place, "items"))
    groups = list(read_groups(place, "items", ["number"]))
    assert [group.num_rows for group in groups] == [4, 4, 2, 1, 4, 4, 4, 4, 3]
    assert pa.concat_tables(groups)["number"].to_pylist() == list(range(30))


def test_rows_beyond_the_end_are_refused(place):
    write_table(place, "items", 0, pa.table({"number": [1, 2]}))
    with pytest.raises(ArtifactError, match="table 'items' has 2 rows, not 3"):
        read_rows(place, "items", 1, 3)


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 7))
def test_rows_come_in_tables_of_one_size(sizes, rows):
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    pieces = (
        pa.table({"n": pa.array(range(end - size, end), pa.int64())}) for end, size in zip(ends, sizes, strict=True)
    )
    found = list(regrouped(pieces, rows))
    assert [n for piece in found for n in piece["n"].to_pylist()] == list(range(sum(sizes)))
    assert [piece.num_rows for piece in found[:-1]] == [rows] * (len(found) - 1)
    assert all(0 < piece.num_rows <= rows and piece["n"].num_chunks == 1 for piece in found)


def test_a_file_out_of_a_stream_has_the_bytes_of_one_written_at_once(place):
    table = pa.table({"n": list(range(100)), "text": [f"text {n % 7}" * (n % 5) for n in range(100)]})
    write_table(place, "whole", 0, table, rows_per_group=30)
    write_stream(place, "stream", 0, (table.slice(start, 11) for start in range(0, 100, 11)), rows_per_group=30)
    assert place.read("stream-00000.parquet") == place.read("whole-00000.parquet")
