import pyarrow.parquet as pq
import pytest

from tests.stages import ring
from unisid.artifacts.catalog import SPLITS
from unisid.artifacts.sequences import COLUMNS, Sequences
from unisid.errors import DataError
from unisid.runtime.local import LocalCompute
from unisid.stages import sequences

N = 40
USERS = [*ring.walks(30, N), [5, 6], [7]]


@pytest.fixture
def inputs(place):
    return {"catalog": ring.write_catalog(place / "catalog", USERS, N)}


def made(place, inputs, **settings):
    out = place / "sequences"
    counts = sequences.make(ring.job(sequences.Config(**settings), inputs, out, LocalCompute()))
    ring.record(out, "sequences", {}, counts)
    return Sequences.read(out), counts


def expected(split: int) -> list[tuple[int, list[int], int]]:
    """Every sample of a split, user by user: the slow way."""
    return [
        (user, items[max(0, i - ring.HISTORY) : i], items[i])
        for user, items in enumerate(USERS)
        for i in range(1, len(items))
        if ring.leave_one_out(len(items))[i] == split
    ]


def rows(table) -> list[tuple[int, list[int], int]]:
    return list(zip(*(table[name].to_pylist() for name in ("user", "history", "target")), strict=True))


def test_every_sample_is_there_once(place, inputs):
    read, counts = made(place, inputs)
    for split, name in enumerate(SPLITS):
        table = read.table(name)
        assert tuple(table.column_names) == COLUMNS
        assert sorted(rows(table)) == sorted(expected(split))
        assert read.num_samples(name) == len(expected(split)) == counts[name]
    lengths = [len(history) for split in range(3) for _, history, _ in expected(split)]
    assert counts["longest_history"] == max(lengths)
    assert counts["histories_of_one"] == lengths.count(1) > 0


def test_the_training_sequence_of_every_user_with_a_next_item_is_there_once(place, inputs):
    read, counts = made(place, inputs)
    plain = {user: items[:-2] for user, items in enumerate(USERS) if len(items) >= 4}
    table = read.table(sequences.USERS, ["user", "history"])
    stored = dict(zip(table["user"].to_pylist(), table["history"].to_pylist(), strict=True))
    assert stored == plain
    assert counts["users"] == len(plain) == table.num_rows
    assert counts["windows"] == sum(-(-(len(items) - 1) // ring.HISTORY) for items in plain.values())
    assert table["user"].to_pylist() != sorted(plain)


def test_only_training_rows_are_shuffled_and_the_seed_decides_how(place, inputs):
    first, _ = made(place, inputs)
    again, _ = made(place / "again", inputs)
    other, _ = made(place / "other", inputs, seed=7)
    assert rows(first.table("train")) != expected(0)
    assert rows(first.table("train")) == rows(again.table("train"))
    assert rows(first.table("train")) != rows(other.table("train"))
    assert rows(first.table("test")) == expected(2)


def test_without_the_window_each_user_is_one_sample(place, inputs):
    read, counts = made(place, inputs, sliding_window=False)
    last = {user: (user, history, target) for user, history, target in expected(0)}
    assert sorted(rows(read.table("train"))) == sorted(last.values())
    assert counts["train"] == len(last) < len(expected(0))
    assert counts["test"] == len(expected(2))


def test_files_and_row_groups_are_bounded(place, inputs, monkeypatch):
    whole, _ = made(place / "whole", inputs)
    monkeypatch.setattr(sequences, "ROWS_PER_FILE", 100)
    monkeypatch.setattr(sequences, "ROWS_PER_GROUP", 64)
    read, _ = made(place, inputs)
    files = [pq.ParquetFile(read.place.open(n)) for n in read.place.sizes() if n.startswith("train-")]
    assert [f.metadata.num_rows for f in files[:-1]] == [100] * (len(files) - 1)
    assert len(files) > 1
    assert all(f.metadata.row_group(g).num_rows <= 64 for f in files for g in range(f.num_row_groups))
    assert rows(read.table("train")) == rows(whole.table("train"))


def test_a_catalog_without_training_samples_is_refused(place, inputs):
    users = [[1, 2], [3, 4]]
    inputs["catalog"] = ring.write_catalog(place / "thin", users, N)
    with pytest.raises(DataError, match="no train sample"):
        made(place, inputs)
