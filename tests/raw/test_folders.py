"""A table in many files: folders, and folders of partitions."""

import dataclasses
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets.reading import read_all
from tests.lines import logged
from unisid.artifacts.store import Place
from unisid.compute import Job
from unisid.datasets import tables
from unisid.errors import DataError
from unisid.raw import folders
from unisid.raw.rows import unread_of
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog

DAYS = {"2024-05-01": ["u0", "u1"], "2024-05-02": ["u0"]}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\n7,Pen\n")
    rows = tmp_path / "rows"
    for day, users in DAYS.items():
        (rows / f"dt={day}" / "country=de%20at").mkdir(parents=True)
        table = pa.table({"user_id": users, "item_id": ["7"] * len(users)})
        pq.write_table(table, rows / f"dt={day}" / "country=de%20at" / "part-0.snappy.parquet")
    (rows / "_SUCCESS").write_text("")
    return tables.Config(items=str(tmp_path / "items.csv"), interactions=str(rows), timestamp="dt")


def test_the_folders_of_a_partition_are_columns(config):
    assert [(row["user_id"], row["timestamp"]) for row in read_all(config)[1]] == [
        ("u0", 1714521600),
        ("u1", 1714521600),
        ("u0", 1714608000),
    ]
    dataset = config.build()
    rows = dataset.read(dataset.parts()[-1])
    assert unread_of(rows)[0] == {"country": "partition"}


def test_partitions_of_any_format_name_users_too(config, tmp_path):
    for user in ("ann", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "csv" / f"user_id={user}").mkdir(parents=True)
        (tmp_path / "csv" / f"user_id={user}" / "0.csv").write_text("item_id,timestamp\n7,5\n")
    config = dataclasses.replace(config, interactions=str(tmp_path / "csv"), timestamp="timestamp")
    with pytest.raises(DataError, match=r"0.csv, column 'user_id', line 2: the id is missing"):
        read_all(config)
    (tmp_path / "csv" / "user_id=__HIVE_DEFAULT_PARTITION__" / "0.csv").unlink()
    assert read_all(config)[1] == [{"user_id": "ann", "item_id": "7", "timestamp": 5}]


def test_partitions_of_items_are_texts(config, tmp_path):
    (tmp_path / "i" / "shelf=Art").mkdir(parents=True)
    (tmp_path / "i" / "shelf=Art" / "0.jsonl").write_text('{"item_id": "7", "title": "Pen"}\n')
    items = read_all(dataclasses.replace(config, items=str(tmp_path / "i")))[0]
    assert items == [{"item_id": "7", "title": "Pen", "shelf": "Art"}]


def test_the_names_of_partitions_bear_identity_and_their_place_does_not(config, tmp_path):
    before = catalog.sources(catalog.Config(dataset=config))["interactions"]["fingerprint"]
    (tmp_path / "rows").rename(tmp_path / "moved")
    moved = dataclasses.replace(config, interactions=str(tmp_path / "moved"))
    assert catalog.sources(catalog.Config(dataset=moved))["interactions"]["fingerprint"] == before
    (tmp_path / "moved" / "dt=2024-05-02").rename(tmp_path / "moved" / "dt=2024-05-03")
    assert catalog.sources(catalog.Config(dataset=moved))["interactions"]["fingerprint"] != before


def test_a_folder_on_any_file_system():
    place = Place.of("memory://partitioned")
    (place / "day=1").write("a.csv", b"x\n")
    assert folders.find_tables("x", "memory://partitioned") == [
        folders.Found("memory://partitioned/day=1/a.csv", "day=1")
    ]


def test_folders_called_otherwise_are_no_partitions(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.csv").write_text("x\n")
    with pytest.raises(DataError, match=r"rows: the folder .* holds no file that ends in .*key=value"):
        folders.find_tables("rows", str(tmp_path))
    (tmp_path / "b.csv").write_text("x\n")
    assert [found.path for found in folders.find_tables("rows", str(tmp_path))] == [str(tmp_path / "b.csv")]


def test_rows_inside_and_outside_of_partitions_are_refused(config, tmp_path):
    pq.write_table(pa.table({"user_id": ["a"], "item_id": ["7"]}), tmp_path / "rows" / "loose.parquet")
    with pytest.raises(
        DataError, match=r"catalog.dataset.interactions: the folder .* at different depths of key=value"
    ):
        config.build().parts()


def test_tables_are_read_and_descriptions_of_them_are_not(tmp_path):
    for name in ("0.csv", "1.CSV.gz", "2.parquet", "schema.json", "readme.txt", ".hidden.csv"):
        (tmp_path / name).write_text("x")
    found = [file.path.rpartition("/")[2] for file in folders.find_tables("rows", str(tmp_path))]
    assert found == ["0.csv", "1.CSV.gz", "2.parquet"]
    for name in found:
        (tmp_path / name).unlink()
    assert [file.path for file in folders.find_tables("rows", str(tmp_path))] == [str(tmp_path / "schema.json")]


def test_what_a_folder_holds_beside_its_tables_is_named(tmp_path):
    rows = tmp_path / "rows"
    (rows / "2024").mkdir(parents=True)
    names = ("a.csv", "b.csv.zip", "c.jsonl", "d.txt", "README.md", "_SUCCESS", ".crc", "2024/e.csv")
    for name in names:
        (rows / name).write_text("user_id,item_id,timestamp\nu,7,5\n")
    found = folders.find_tables("rows", str(rows))
    assert [file.path for file in found] == [str(rows / "a.csv")]
    assert folders.passed_over({"rows": found, "items": []}) == {"rows": ["2024/", "b.csv.zip", "c.jsonl", "d.txt"]}
    (tmp_path / "items.csv").write_text("item_id,title\n7,Pen\n")
    dataset = tables.Config(items=str(tmp_path / "items.csv"), interactions=str(rows))
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0)
    out = Place.of(tmp_path / "catalog")
    job = Job(config=config, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
    with logged() as said:
        catalog.make(job)
    assert "the folder of the interactions holds what is not read: 2024/, b.csv.zip, c.jsonl, d.txt;" in str(said)


def test_parts_without_a_row_change_nothing(tmp_path):
    """As Spark leaves them: the first of a folder, and one that wrote another type where it had nothing to write."""
    items = pa.table({"item_id": ["7", "8"], "title": ["Pen", "Ink"], "brand": ["P", "Q"]})
    rows = pa.table(
        {"user_id": ["a", "a", "a"], "item_id": ["7", "8", "7"], "timestamp": [1, 2, 3], "stars": [5, 4, 5]}
    )
    other = rows.schema.set(0, pa.field("user_id", pa.dictionary(pa.int32(), pa.string())))
    made = {}
    for name, empty in (("with", True), ("without", False)):
        for table, values in (("items", items), ("rows", rows)):
            folder = tmp_path / name / table
            folder.mkdir(parents=True)
            pq.write_table(values[:1], folder / "part-00001.parquet")
            pq.write_table(values[1:], folder / "part-00003.parquet")
            if empty:
                pq.write_table(values[:0], folder / "part-00000.parquet")
                pq.write_table(
                    (other if table == "rows" else items.schema).empty_table(), folder / "part-00002.parquet"
                )
                (folder / "_SUCCESS").write_text("")
        dataset = tables.Config(
            items=str(tmp_path / name / "items"), interactions=str(tmp_path / name / "rows"), rating="stars"
        )
        settings = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, least_rating=1)
        out = Place.of(tmp_path / name / "out")
        job = Job(config=settings, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
        made[name] = catalog.make(job), {file: out.read(file) for file in out.sizes()}
    assert made["with"] == made["without"]
    assert made["with"][0]["interactions"] == 3
    shutil.rmtree(tmp_path / "with" / "rows")
    (tmp_path / "with" / "rows").mkdir()
    pq.write_table(rows[:0], tmp_path / "with" / "rows" / "part-00000.parquet")
    dataset = dataclasses.replace(
        dataset, items=str(tmp_path / "with" / "items"), interactions=str(tmp_path / "with" / "rows")
    )
    job = dataclasses.replace(
        job, config=dataclasses.replace(settings, dataset=dataset), out=Place.of(tmp_path / "none")
    )
    with pytest.raises(DataError, match="the raw data hold no interactions; at least one row of them is needed"):
        catalog.make(job)
