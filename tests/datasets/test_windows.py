import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.datasets.reading import read_all
from unisid.datasets import windows
from unisid.errors import DataError
from unisid.raw.rows import unread_of


@given(st.permutations(range(30)), st.integers(1, 10), st.integers(0, 29), st.integers(1, 3))
def test_a_sequence_is_recovered_from_its_windows(sequence, length, start, step):
    targets = range(max(1, start), len(sequence), min(step, length))
    cut = [list(sequence[max(0, t - length) : t + 1]) for t in targets]
    if cut:
        first = max(0, targets[0] - length)
        assert windows.joined(cut) == list(sequence[first : targets[-1] + 1])


def test_windows_without_overlap_are_joined_end_to_end():
    assert windows.joined([["a", "b"], ["c", "d"], ["c", "d", "e"]]) == ["a", "b", "c", "d", "e"]


def test_samples_of_several_files(tmp_path):
    pq.write_table(
        pa.table({"item_id": [1, 2, 3, 4], "title": ["a", "b", "c", "d"], "brand": [*"wxyz"]}), tmp_path / "i.parquet"
    )
    pq.write_table(
        pa.table({"user_id": ["u", "v"], "history": [[1], [4, 4]], "target": [2, 4]}), tmp_path / "a.parquet"
    )
    pq.write_table(pa.table({"user_id": ["w", "u"], "history": [[], [1, 2]], "target": [1, 3]}), tmp_path / "b.parquet")
    config = windows.Config(
        items=str(tmp_path / "i.parquet"), samples=(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"))
    )
    items, interactions = read_all(config)
    assert items[0] == {"item_id": "1", "title": "a", "brand": "w"}
    sequences = {}
    for row in interactions:
        assert row["position"] == len(sequences.setdefault(row["user_id"], []))
        sequences[row["user_id"]].append(row["item_id"])
    assert sequences == {"u": ["1", "2", "3"], "v": ["4", "4", "4"], "w": ["1"]}


def test_files_without_a_sample_hold_no_interaction(tmp_path):
    schema = pa.schema({"user_id": pa.string(), "history": pa.list_(pa.int64()), "target": pa.int64()})
    pq.write_table(schema.empty_table(), tmp_path / "a.parquet")
    pq.write_table(pa.table({"item_id": [1], "title": ["A"]}), tmp_path / "items.parquet")
    dataset = windows.Config(items=str(tmp_path / "items.parquet"), samples=(str(tmp_path / "a.parquet"),)).build()
    [part] = [part for part in dataset.parts() if part["table"] == "interactions"]
    found = dataset.read(part)
    assert (found.num_rows, found.column_names) == (0, ["user_id", "item_id", "position"])


def test_a_missing_column_is_named(tmp_path):
    pq.write_table(pa.table({"user_id": ["u"], "histories": [[1]], "target": [2]}), tmp_path / "a.parquet")
    config = windows.Config(
        samples=(str(tmp_path / "a.parquet"),), items=str(tmp_path / "a.parquet"), title="user_id", item_id="target"
    )
    with pytest.raises(DataError, match=r"a.parquet: no column 'history'; did you mean 'histories'\?"):
        read_all(config)


@pytest.mark.parametrize(
    ("histories", "targets", "message"),
    [
        ([[1], [2]], [2, None], r"a.parquet, column 'target', row 2: the id is missing"),
        ([[1], [1, None]], [2, 1], r"a.parquet, column 'history', row 2: an item id is missing"),
        ([[1.0], [2.0**60]], [2, 1], r"a.parquet, column 'history', row 2: 1.15.* is beyond 2\^53"),
        ([[{"a": 1}], []], [2, 1], r"a.parquet, column 'history': holds struct<a: int64>; ids must be"),
        ([[1], [2]], [[2], [1]], r"a.parquet, column 'target': holds list<element: int64>; ids must be"),
        ([1, 2], [2, 1], r"a.parquet, column 'history': holds int64; every row must be a list of item ids"),
    ],
)
def test_missing_items_are_named(tmp_path, histories, targets, message):
    pq.write_table(pa.table({"item_id": [1, 2], "title": ["a", "b"]}), tmp_path / "i.parquet")
    pq.write_table(pa.table({"user_id": ["u", "v"], "history": histories, "target": targets}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_all(windows.Config(items=str(tmp_path / "i.parquet"), samples=(str(tmp_path / "a.parquet"),)))


def test_relative_paths_are_those_of_where_it_was_built(tmp_path, monkeypatch):
    pq.write_table(pa.table({"user_id": ["u"], "history": [[1]], "target": [2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"item_id": [1, 2], "title": ["a", "b"]}), tmp_path / "i.parquet")
    monkeypatch.chdir(tmp_path)
    dataset = windows.Config(items="i.parquet", samples=("a.parquet",)).build()
    parts = dataset.parts()
    monkeypatch.chdir("/")
    assert [dataset.read(part).num_rows for part in parts] == [2, 2]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.string_view()), pa.large_list(pa.string()), pa.list_(pa.float64()), pa.list_(pa.int32(), 2)],
    ids=str,
)
def test_histories_of_every_type_of_list_and_files_of_several(tmp_path, kind):
    history = [["1", "2"], ["3", "4"]] if "string" in str(kind) else [[1, 2], [3, 4]]
    pq.write_table(pa.table({"item_id": [1, 2, 3, 4, 5], "title": [*"abcde"]}), tmp_path / "i.parquet")
    rows = {"user_id": ["u", "v"], "history": pa.array(history, kind), "target": ["3", "5"], "score": [1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    rows = {"user_id": ["u", "v"], "history": [[2, 3], None], "target": [4, 1], "score": [1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "b.parquet")
    config = windows.Config(
        items=str(tmp_path / "i.parquet"), samples=(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"))
    )
    found = {}
    for row in read_all(config)[1]:
        found.setdefault(row["user_id"], []).append(row["item_id"])
    assert found == {"u": ["1", "2", "3", "4"], "v": ["3", "4", "5", "1"]}
    dataset = config.build()
    assert unread_of(dataset.read(dataset.parts()[-1]))[0] == {"score": "int64"}
