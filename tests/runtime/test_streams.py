"""Streams: W workers together read what one reads, batch by batch, and all read equally many rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime import toy_fit
from unisid.artifacts.store import Place
from unisid.compute import Stream
from unisid.errors import ArtifactError
from unisid.runtime.streams import pieces, read_piece

TOTAL = sum(sum(groups) for groups in toy_fit.GROUPS)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    return toy_fit.write_rows(Place.of(tmp_path_factory.mktemp("rows")))


def rows(stream, rank, size):
    return [r for piece in pieces(stream, rank, size) for r in read_piece(stream, piece)["row"].to_pylist()]


@settings(deadline=None)
@given(size=st.integers(1, 70))
def test_workers_deal_the_rows_out_in_turn(stream, size):
    usable = TOTAL // size * size
    for rank in range(size):
        assert rows(stream, rank, size) == list(range(rank, usable, size))


def test_only_the_named_columns_are_read_in_stored_groups(stream):
    tables = [read_piece(stream, piece) for piece in pieces(stream, 0, 1)]
    assert [t.num_rows for t in tables] == [n for groups in toy_fit.GROUPS for n in groups]
    assert tables[0].column_names == ["row", "values"]


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match=r"no files named train\*\.parquet to train on"):
        pieces(Stream(Place.of(tmp_path), "train", ("row",)), 0, 1)


def test_a_truncated_file_is_an_error(stream, tmp_path):
    place = Place.of(tmp_path)
    place.write("rows-00000.parquet", stream.place.read("rows-00000.parquet")[:-9])
    with pytest.raises(ArtifactError, match=r"rows-00000\.parquet: is not a whole Parquet file"):
        pieces(Stream(place, "rows-", ("row",)), 0, 1)
