"""How many rows raw files have, without reading them: exact of Parquet and small files, about right of large ones."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unisid.datasets import synthetic, tables
from unisid.raw import row_counts
from unisid.raw.folders import Found
from unisid.raw.row_counts import rows_of
from unisid.stages.catalog import Config
from unisid.stages.catalog.raw_sizes import raw_sizes


def parquet(path, rows):
    pq.write_table(pa.table({"item_id": [str(n) for n in range(rows)]}), path, row_group_size=7)
    return Found(str(path))


def csv(path, rows):
    path.write_text("".join(f"user{n},item{n},{n}\n" for n in range(rows)))
    return Found(str(path))


def test_a_parquet_file_says_it(tmp_path):
    assert rows_of([parquet(tmp_path / "a.parquet", 23), parquet(tmp_path / "b.parquet", 4)]) == 27
    assert rows_of([]) == 0


def test_of_small_text_the_lines_are_counted_and_of_large_text_taken_from_its_beginning(tmp_path, monkeypatch):
    file = csv(tmp_path / "a.csv", 9000)
    assert rows_of([file]) == 9000
    monkeypatch.setattr(row_counts, "HEAD", 20_000)
    assert rows_of([file]) == pytest.approx(9000, rel=0.2)


def test_of_many_files_some_are_looked_at(tmp_path, monkeypatch):
    files = [csv(tmp_path / f"{n}.csv", 100) for n in range(10)]
    monkeypatch.setattr(row_counts, "FILES", 3)
    assert rows_of(files) == 1000


def test_what_would_have_to_be_read_is_not_known(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 100))
    assert rows_of([Found(str(tmp_path / "a.csv.gz"))]) is None
    assert rows_of([Found(str(tmp_path / "absent.csv"))]) is None
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    assert rows_of([Found(str(tmp_path / "cut.parquet"))]) is None


def test_a_catalog_s_raw_data_are_counted_by_table(tmp_path):
    items, rows = parquet(tmp_path / "items.parquet", 23), csv(tmp_path / "rows.csv", 40)
    dataset = tables.Config(items=items.path, interactions=rows.path)
    assert raw_sizes(Config(dataset=dataset)) == {"items": 23, "interactions": 40}
    assert raw_sizes(Config(dataset=synthetic.Config(items=12_345))) == {"items": 12_345}
