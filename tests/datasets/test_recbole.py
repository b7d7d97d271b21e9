import dataclasses
import importlib.util
import sys
from fractions import Fraction

import pytest

from tests.datasets.reading import read_all
from unisid.datasets import recbole
from unisid.errors import DataError
from unisid.raw.rows import unread_of
from unisid.raw.time_ranges import Times

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tprice:float\tclass:token_seq\n"
    "242\tKolya\t1996\t1.5\tComedy\n"
)


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ml-100k.inter").write_text(INTER)
    (folder / "ml-100k.item").write_text(ITEM)


def test_atomic_files(tmp_path):
    write(tmp_path)
    items, interactions = read_all(recbole.Config(path=str(tmp_path)))
    assert items == [{"item_id": "242", "title": "Kolya", "release_year": "1996", "class": "Comedy"}]
    assert interactions == [{"user_id": "196", "item_id": "242", "timestamp": 881250949}]
    rated = read_all(recbole.Config(path=str(tmp_path), rating="rating"))[1]
    assert rated == [interactions[0] | {"rating": "3"}]


def test_the_installed_package_is_found_and_not_imported(tmp_path, monkeypatch):
    write(tmp_path / "recbole" / "dataset_example" / "ml-100k")
    (tmp_path / "recbole" / "__init__.py").write_text("raise ImportError('must not run')")
    monkeypatch.syspath_prepend(tmp_path)
    items, _ = read_all(recbole.Config())
    assert items[0]["title"] == "Kolya"
    assert "recbole" not in sys.modules


def test_where_the_demo_s_data_are_had_is_named_where_that_is_installed(tmp_path, monkeypatch):
    config = recbole.Config(path=f"{tmp_path}/my data")
    with pytest.raises(DataError, match=r"no file .*; `python -m jobs.fetch_movielens '.*/my data'` fetches it$"):
        config.build().sources()
    with pytest.raises(DataError, match=r"there is no file '.*/beauty.item'$"):
        dataclasses.replace(config, name="beauty").build().sources()
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("jobs") else real(name))
    with pytest.raises(DataError, match=r"there is no file '.*/ml-100k.item'$"):
        config.build().sources()


def test_a_title_must_be_found_or_named(tmp_path):
    write(tmp_path)
    (tmp_path / "ml-100k.item").write_text("item_id:token\tlabel:token_seq\n1\tx\n")
    with pytest.raises(
        DataError,
        match=r"no column looks like a title; "
        r"set catalog.dataset.title to one of item_id, label",
    ):
        read_all(recbole.Config(path=str(tmp_path)))
    items, _ = read_all(recbole.Config(path=str(tmp_path), title="label"))
    assert items == [{"item_id": "1", "title": "x"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("196\t\t3\t5\n", r"ml-100k.inter, column 'item_id', line 3: the id is missing"),
        ("196\t242\t3\tsoon\n", r"ml-100k.inter, column 'timestamp', line 3: 'soon' is no time"),
        ("196\t242\t3\t\n", r"ml-100k.inter, column 'timestamp', line 3: '' is no time"),
    ],
)
def test_missing_ids_and_times_are_named(tmp_path, row, message):
    write(tmp_path)
    (tmp_path / "ml-100k.inter").write_text(INTER + row)
    with pytest.raises(DataError, match=message):
        read_all(recbole.Config(path=str(tmp_path)))


def test_what_is_not_read_is_remembered_with_its_type(tmp_path):
    write(tmp_path)
    dataset = recbole.Config(path=str(tmp_path)).build()
    assert [unread_of(dataset.read(part))[0] for part in dataset.parts()] == [{"price": "float"}, {"rating": "float"}]


def test_another_encoding(tmp_path):
    write(tmp_path)
    (tmp_path / "ml-100k.item").write_bytes(ITEM.replace("Kolya", "Mis\u00e9rables").encode("latin-1"))
    with pytest.raises(DataError, match=r"ml-100k.item, line 2: is not UTF-8 .*set catalog.dataset.encoding"):
        read_all(recbole.Config(path=str(tmp_path)))
    assert read_all(recbole.Config(path=str(tmp_path), encoding="latin-1"))[0][0]["title"] == "Mis\u00e9rables"


def test_times_of_another_unit_and_rows_without_one(tmp_path):
    write(tmp_path)
    config = recbole.Config(path=str(tmp_path))
    (tmp_path / "ml-100k.inter").write_text(INTER.replace("881250949", "881250949123"))
    with pytest.raises(DataError, match=r"as 'ms', 881250949123 is 1997-12-04; set catalog.dataset.unit to ms"):
        read_all(config)
    assert read_all(dataclasses.replace(config, unit="ms"))[1][0]["timestamp"] == Fraction(881250949123, 1000)
    (tmp_path / "ml-100k.inter").write_text(INTER + "196\t242\t3\t\n")
    dropping = dataclasses.replace(config, times=Times(missing="drop"))
    assert [row["timestamp"] for row in read_all(dropping)[1]] == [881250949, None]


def test_a_column_of_kinds_is_read_where_it_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "ml-100k.inter").write_text(INTER.replace("rating:float", "event:token").replace("\t3\t", "\tview\t"))
    assert read_all(recbole.Config(path=str(tmp_path), event="event"))[1][0]["event"] == "view"
    with pytest.raises(DataError, match=r"no column 'evnt'; did you mean 'event'\?"):
        read_all(recbole.Config(path=str(tmp_path), event="evnt"))
