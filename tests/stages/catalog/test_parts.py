"""Parts of one table: whatever wrote them, they are one, or an error names the file and the column."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lines import logged
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.compute import Job
from unisid.datasets import tables
from unisid.errors import DataError
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog

FIRST = {"item_id": ["1", "2"], "title": ["Pen", "Ink"], "brand": ["P", None]}


@pytest.fixture
def made(tmp_path):
    """The items of a catalog of these parts, its counts, and what was said."""

    def make(*parts, **settings):
        (tmp_path / "items").mkdir()
        for number, part in enumerate(parts):
            if isinstance(part, str):
                (tmp_path / "items" / f"{number}.jsonl").write_text(part)
            else:
                pq.write_table(pa.table(part), tmp_path / "items" / f"{number}.parquet")
        rows = {"user_id": ["a", "a"], "item_id": ["1", "2"], "timestamp": [1, 2], "event": ["view", "buy"]}
        pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
        dataset = tables.Config(items=str(tmp_path / "items"), interactions=str(tmp_path / "rows.parquet"))
        config = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, keep_cold_items=True, **settings)
        out = Place.of(tmp_path / "out")
        job = Job(config=config, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
        with logged() as said:
            counts = catalog.make(job)
        items = {row["item_id"]: row for row in read_table(out, "items").to_pylist()}
        return items, counts, said

    return make


def test_columns_in_another_order_or_without_values_are_one_table(made):
    items, counts, _ = made(
        FIRST,
        {"brand": pa.nulls(1), "title": ["Cup"], "item_id": ["3"]},
        {"title": ["Mug"], "brand": pa.array([None], pa.float64()), "item_id": ["4"]},
        {"item_id": ["5"], "title": pa.nulls(1), "brand": pa.array(["Q"], pa.string_view())},
    )
    assert {key: (row["title"], row["brand"]) for key, row in items.items()} == {
        "1": ("Pen", "P"),
        "2": ("Ink", ""),
        "3": ("Cup", ""),
        "4": ("Mug", ""),
        "5": ("", "Q"),
    }
    assert counts["unread"] == {"interactions": "event (string)"}


def test_the_first_part_may_be_the_one_without_values(made):
    items, _, _ = made({"item_id": ["3"], "title": ["Cup"], "brand": pa.nulls(1)}, FIRST)
    assert items["3"]["brand"] == ""
    assert items["1"]["brand"] == "P"


def test_a_column_without_values_in_any_part_is_named(made):
    items, counts, _ = made(FIRST | {"note": pa.nulls(2)}, {k: v[:0] for k, v in FIRST.items()} | {"note": []})
    assert "note" not in items["1"]
    assert counts["unread"]["items"] == "note (no values)"


def test_what_is_not_read_is_named_once(made):
    more = {"price": [1.5, 2.0], "vector": [[0.1], [0.2]], "box": [{"a": 1}] * 2, "photo": [b"\xff"] * 2}
    items, counts, said = made(FIRST | more)
    assert set(items["1"]) == {"item_id", "title", "text", "brand"}
    unread = "price (double), vector (list<element: double>), box (struct<a: int64>), photo (binary)"
    assert counts["unread"] == {"items": unread, "interactions": "event (string)"}
    assert sum("price" in line for line in said) == 1
    assert any(
        line.endswith(f"not read of the items: {unread}; not read of the interactions: event (string)") for line in said
    )


def test_a_column_that_a_part_lacks_is_named_with_the_files(made):
    with pytest.raises(
        DataError,
        match=r"items/1.parquet: has no column 'brand', which is text in .*items/0.parquet; "
        r"give all files of the items the same columns",
    ):
        made(FIRST, {"item_id": ["3"], "title": ["Cup"]})


def test_a_column_of_another_type_in_a_part_is_named_with_the_files(made):
    with pytest.raises(
        DataError, match=r"items/0.parquet: holds int64 in column 'brand', which is text in .*1.parquet"
    ):
        made({"item_id": ["3"], "title": ["Cup"], "brand": [5]}, FIRST)


def test_lines_of_json_may_lack_a_field_in_all_of_a_file(made):
    items, _, _ = made('{"item_id": 1, "title": "Pen", "brand": "P"}\n', '{"item_id": 2, "title": "Ink"}\n')
    assert items["2"]["brand"] == ""


def test_lines_of_json_may_not_hold_numbers_in_place_of_text(made):
    line = '{"item_id": %d, "title": "Pen", "brand": %s}\n'
    with pytest.raises(DataError, match=r"items/1.jsonl: holds numbers in column 'brand', which is text in .*0.jsonl"):
        made(line % (1, '"P"'), line % (2, "5"))


@pytest.mark.parametrize("name", ["Description", "DESCRIPTION", "description "])
def test_a_text_column_under_another_case_is_named(made, name):
    with pytest.raises(DataError, match=rf"0.parquet: the text column 'description' is not there; it has '{name}'; re"):
        made(FIRST | {name: ["x", "y"]})


def test_a_text_column_that_was_chosen_and_is_under_another_case(made):
    with pytest.raises(
        DataError, match=r"catalog.text: .*0.parquet: the text column 'Brand' is not there; it has 'bra"
    ):
        made(FIRST, text=("title", "Brand"))


def test_naming_the_columns_of_text_settles_it(made):
    items, _, _ = made(FIRST | {"Description": ["x", "y"]}, text=("title", "Description"))
    assert items["1"]["text"] == "Pen x"


def test_bytes_are_text_where_text_is_expected(made):
    items, _, _ = made(FIRST | {"description": pa.array([b"fine", None], pa.binary_view())})
    assert [items["1"]["text"], items["2"]["text"]] == ["Pen fine", "Ink"]


def test_a_text_column_of_the_items_may_be_called_as_times_are(made):
    items, _, _ = made({**FIRST, "timestamp": ["summer", "winter"]})
    assert items["1"]["timestamp"] == "summer"
