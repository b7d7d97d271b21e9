"""The database that a catalog is sorted in: its order, its limit, and what it lacks."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, ConfigError
from unisid.stages.catalog.on_disk.database import opened

NUMBERS = pa.table({"n": np.random.default_rng(0).permutation(200_000)})


@pytest.fixture
def work(tmp_path):
    pytest.importorskip("duckdb", reason="DuckDB (the extra large) is not installed")
    return Place.of(tmp_path / "work")


def test_rows_keep_their_order_and_the_folder_goes(work, tmp_path):
    with opened(work, 0.1, 1) as database:
        database.add("numbers", NUMBERS)
        database.add("numbers", NUMBERS.slice(0, 3))
        assert database.count("numbers") == 200_003
        database.table("sorted", "select n from numbers order by n, rowid")
        found = np.concatenate([piece["n"].to_numpy() for piece in database.tables("from sorted", 1000)])
        assert (found == np.sort(np.append(NUMBERS["n"], NUMBERS["n"][:3]))).all()
        assert database.one("select rowid from sorted where n = 199999") == (200_002,)
        assert (tmp_path / "work" / "sorted").exists()
    assert not (tmp_path / "work" / "sorted").exists()


def test_a_remote_store_has_its_rows_in_the_temporary_folder(work, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with opened(Place.of("memory://x/y"), 0.1, 1) as database:
        assert database.folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def sort_much(work, gib, disk):
    with opened(work, gib, 1) as database:
        database.run(f"set max_temp_directory_size = '{disk}'")
        database.add("numbers", NUMBERS)
        database.table("sorted", "select a.n, hash(a.n) h, repeat('x', 40) t from numbers a, range(20) order by h")


def test_more_than_the_memory_is_sorted_and_a_full_disk_is_said(work):
    sort_much(work, 0.06, "1GB")
    with pytest.raises(ArtifactError, match=r"sorted: cannot be written \(.*; free space or rights are needed"):
        sort_much(work, 0.06, "1MB")


def test_a_memory_that_is_too_small_is_said(work):
    with pytest.raises(ConfigError, match=r"memory: 0.001 GiB are too little for this catalogue \(.*; give it more"):
        sort_much(work, 0.001, "1GB")


def test_a_folder_that_cannot_be_made_is_said(work, tmp_path):
    (tmp_path / "work").write_text("a file")
    with pytest.raises(ArtifactError, match=r"sorted: cannot be written .* free space or rights are needed"):
        sort_much(work, 0.1, "1GB")


def test_duckdb_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"memory: is 2, which needs the package duckdb; install unisid\[large\]"):
        sort_much(Place.of(tmp_path), 2, "1GB")
