import dataclasses
import datetime
import gzip
from fractions import Fraction

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets.reading import read_all
from unisid.artifacts.store import Place
from unisid.config import to_record
from unisid.datasets import tables
from unisid.errors import DataError
from unisid.raw import tabular

ITEMS = 'item_id,title,description,price\n007,Pen,"Blue, fine",1.5\n8,Ink,,2\n'
INTERACTIONS = "user_id,item_id,timestamp\nann,007,1500000000\nbob,8,1500000001\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "interactions.csv").write_text(INTERACTIONS)
    return tables.Config(items=str(tmp_path / "items.csv"), interactions=str(tmp_path / "interactions.csv"))


def parquet(config, tmp_path, **columns):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"user_id": ["a", "b"], "item_id": [7, 8]} | columns), path)
    return dataclasses.replace(config, interactions=str(path))


def test_csv_keeps_ids_as_written(config):
    items, interactions = read_all(config)
    assert items[0] == {"item_id": "007", "title": "Pen", "description": "Blue, fine", "price": "1.5"}
    assert items[1]["description"] == ""
    assert interactions == [
        {"user_id": "ann", "item_id": "007", "timestamp": 1500000000},
        {"user_id": "bob", "item_id": "8", "timestamp": 1500000001},
    ]


def test_columns_under_other_names_and_names_that_are_taken(config, tmp_path):
    (tmp_path / "items.tsv").write_text("sku\tname\ttitle\ttext\n1\tPen\tDr\tlong\n")
    (tmp_path / "rows.csv").write_text("who,what,when\nann,1,2017-07-14\n")
    other = tables.Config(
        items=str(tmp_path / "items.tsv"),
        interactions=str(tmp_path / "rows.csv"),
        item_id="sku",
        title="name",
        user="who",
        item="what",
        timestamp="when",
    )
    items, interactions = read_all(other)
    assert items == [{"item_id": "1", "title": "Pen", "source_title": "Dr", "source_text": "long"}]
    assert interactions[0]["timestamp"] == 1499990400


@pytest.mark.parametrize(
    ("values", "unit", "seconds"),
    [
        ([5, 6], "s", [5, 6]),
        ([5999, 6000], "ms", ["5.999", 6]),
        ([5.9, 6.0], "s", ["5.9", 6]),
        (
            pa.array([datetime.datetime(1970, 1, 2), datetime.datetime(1970, 1, 3)], pa.timestamp("us")),
            "s",
            [86400, 172800],
        ),
        (["5", " 6.5 "], "s", [5, "6.5"]),
        (["1970-01-02", "1970-01-03 00:00:01"], "s", [86400, 172801]),
        (["1970-01-02T00:00:00Z", "1970-01-03 01:00:01.5+01:00"], "s", [86400, "172801.5"]),
        ([datetime.date(1970, 1, 2), datetime.date(1970, 1, 3)], "s", [86400, 172800]),
    ],
)
def test_times_in_any_usual_form(config, tmp_path, values, unit, seconds):
    config = dataclasses.replace(parquet(config, tmp_path, timestamp=values), unit=unit)
    assert [row["timestamp"] for row in read_all(config)[1]] == [Fraction(second) for second in seconds]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["5", "soon"], r"column 'timestamp', row 2: 'soon' is no time \(1 such rows\); every interaction needs"),
        (["5", ""], r"row 2: '' is no time"),
        (["2018-11-30", "30.11.2018"], r"row 2: '30.11.2018' is no time"),
        (["2018-11-30", "5"], r"row 2: '5' is no time"),
        ([5, None], r"row 2: 'None' is no time"),
        ([float("nan"), 5.0], r"row 1: 'nan' is no time"),
    ],
)
def test_times_that_are_none(config, tmp_path, values, message):
    with pytest.raises(DataError, match=message):
        read_all(parquet(config, tmp_path, timestamp=values))


def test_positions_instead_of_times(config, tmp_path):
    config = parquet(config, tmp_path, place=[0, 1])
    with pytest.raises(
        DataError,
        match=r"no column 'timestamp'.*"
        r"set catalog.dataset.timestamp.*catalog.dataset.position",
    ):
        read_all(config)
    rows = read_all(dataclasses.replace(config, position="place"))[1]
    assert rows[1] == {"user_id": "b", "item_id": "8", "position": 1}


@pytest.mark.parametrize("values", [[0.0, 1.5], ["0", "1.5"]])
def test_a_fractional_position_is_refused(config, tmp_path, values):
    config = dataclasses.replace(parquet(config, tmp_path, place=values), position="place")
    with pytest.raises(DataError, match=r"column 'place', row 2: '1.5' is no position; positions are whole numbers"):
        read_all(config)


def test_missing_ids_columns_and_files(config, tmp_path):
    (tmp_path / "gap.csv").write_text("item_id,title\n1,a\n,b\n")
    with pytest.raises(DataError, match=r"gap.csv, column 'item_id', line 3: the id is missing"):
        read_all(dataclasses.replace(config, items=str(tmp_path / "gap.csv")))
    with pytest.raises(
        DataError, match=r"items.csv: no column 'titel'; did you mean 'title'\?; it has: item_id, title"
    ):
        read_all(dataclasses.replace(config, title="titel"))
    with pytest.raises(DataError, match=r"dataset.items: there is no file .*itms.csv'; did you mean 'items.csv'\?"):
        read_all(dataclasses.replace(config, items=str(tmp_path / "itms.csv")))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty.csv: is empty; its first line"):
        read_all(dataclasses.replace(config, items=str(tmp_path / "empty.csv")))
    (tmp_path / "bad.csv").write_text("item_id,title\n1,a,b\n")
    with pytest.raises(
        DataError, match=r"bad.csv, line 2: has 3 cells with ',' between them, its columns are 2: '1,a,b'"
    ):
        read_all(dataclasses.replace(config, items=str(tmp_path / "bad.csv")))


def test_a_compressed_file_that_is_cut_off(config, tmp_path):
    path = tmp_path / "rows.csv.gz"
    rows = "".join(f"u{n},8,{n}\n" for n in range(5000))
    whole = gzip.compress(f"user_id,item_id,timestamp\n{rows}".encode())
    path.write_bytes(whole)
    assert len(read_all(dataclasses.replace(config, interactions=str(path)))[1]) == 5000
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"rows.csv.gz: cannot be read"):
        read_all(dataclasses.replace(config, interactions=str(path)))


def test_a_damaged_parquet_file(config, tmp_path):
    config = parquet(config, tmp_path, timestamp=[1, 2])
    path = tmp_path / "rows.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"rows.parquet: is not a whole Parquet file"):
        read_all(config)


def test_absent_lists_of_one_size_are_no_damage(config, tmp_path):
    """Arrow writes such files, and cannot read them."""
    config = parquet(config, tmp_path, timestamp=[1500000000, 1500000001])
    items = {"item_id": ["1", "2"], "title": ["a", "b"], "tags": pa.array([None, ["a", "b"]], pa.list_(pa.string(), 2))}
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    with pytest.raises(DataError, match=r"items.parquet: has lists of one size .* as lists of any size$"):
        read_all(dataclasses.replace(config, items=str(tmp_path / "items.parquet")))


def test_a_damaged_parquet_file_is_one_line_of_error_wherever_it_is_damaged(config, tmp_path):
    config = parquet(config, tmp_path, timestamp=[1500000000, 1500000001])
    path = tmp_path / "rows.parquet"
    whole, refused = path.read_bytes(), []
    for place in range(4, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x85]) + whole[place + 1 :])
        try:
            read_all(config)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert all(map(str.isprintable, refused))


def test_a_folder_of_row_groups_is_read_in_order_by_parts(config, tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "ROWS_PER_PART", 4)
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in (1, 0):
        rows = pa.table({"user_id": [f"u{n}"] * 10, "item_id": ["8"] * 10, "timestamp": range(n * 10, n * 10 + 10)})
        pq.write_table(rows, folder / f"{n}.parquet", row_group_size=3)
    config = dataclasses.replace(config, interactions=str(folder))
    assert len(config.build().parts()) == 1 + 2 * 2
    assert [row["timestamp"] for row in read_all(config)[1]] == list(range(20))


def test_a_row_of_a_later_part_is_named_by_its_number_in_the_file(config, tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "ROWS_PER_PART", 1)
    rows = pa.table({"user_id": ["a"] * 4, "item_id": ["8"] * 4, "timestamp": [1, 2, 3, None]})
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=2)
    with pytest.raises(DataError, match=r"row 4: 'None' is no time"):
        read_all(dataclasses.replace(config, interactions=str(tmp_path / "rows.parquet")))


def test_any_file_system(config):
    place = Place.of("memory://shop")
    place.write("items.csv", ITEMS.encode())
    place.write("interactions.csv", INTERACTIONS.encode())
    remote = dataclasses.replace(config, items="memory://shop/items.csv", interactions="memory://shop/interactions.csv")
    assert read_all(remote) == read_all(config)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2], pa.time64("us")),
        pa.array([1, 2], pa.time32("ms")),
        pa.array([1, 2], pa.duration("s")),
        pa.array([1, 2], pa.float16()),
        pa.array([[1], [2]]),
        pa.array([{"a": 1}] * 2),
        pa.array([True, False]),
    ],
    ids=lambda values: str(values.type),
)
@pytest.mark.parametrize("position", ["", "timestamp"])
def test_types_that_hold_no_times_are_refused_by_name(config, tmp_path, values, position):
    config = dataclasses.replace(parquet(config, tmp_path, timestamp=values), position=position)
    with pytest.raises(
        DataError, match=r"rows.parquet, column 'timestamp': holds .*; times must be numbers, dates"
    ) as found:
        read_all(config)
    assert str(values.type).replace("item:", "element:") in str(found.value)


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.binary()]
)
def test_times_in_every_type_of_text(config, tmp_path, kind):
    values = pa.array(["1970-01-02", "1970-01-03"]).cast(kind)
    rows = read_all(parquet(config, tmp_path, timestamp=values))[1]
    assert [row["timestamp"] for row in rows] == [86400, 172800]


def test_further_columns_are_part_of_the_text_under_the_names_they_get(config):
    assert tables.Config(columns=("text", "brand")).build().text == ("title", "source_text", "brand")


def test_settings_of_text_files_bear_identity_only_where_they_are_set():
    plain = to_record(tables.Config(), identity=True)
    assert not {"delimiter", "encoding", "items_header", "interactions_header"} & set(plain)
    assert to_record(tables.Config(delimiter=";"), identity=True) == plain | {"delimiter": ";"}
