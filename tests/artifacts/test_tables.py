import pyarrow as pa
import pytest

from unisid.artifacts.tables import read_rows, read_table, write_table
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


def test_rows_beyond_the_end_are_refused(place):
    write_table(place, "items", 0, pa.table({"number": [1, 2]}))
    with pytest.raises(ArtifactError, match="table 'items' has 2 rows, not 3"):
        read_rows(place, "items", 1, 3)
