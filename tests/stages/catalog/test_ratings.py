"""A least rating: what it keeps, what it says of the rest, what it leaves as it was, and what is refused."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stages.catalog.test_policies import START, said, walks
from tests.stages.catalog.test_weights import with_column
from tests.stages.test_catalog import bytes_of, make
from unisid.artifacts.store import Place
from unisid.config import fingerprint, to_record
from unisid.datasets import movielens, synthetic
from unisid.errors import ConfigError, DataError
from unisid.stages import catalog
from unisid.stages.catalog import summary

RATINGS = (5, "4", "3.5", 1, "", 4.5)


def of_ratings(folder, rows, ratings, **settings):
    """A shop whose interactions have these ratings, by row."""
    return with_column(folder, rows, "rating", "stars", ratings, **settings)


@pytest.fixture
def rated(tmp_path):
    rows = walks([START + n for n in range(6)])
    return of_ratings(tmp_path, rows, [RATINGS[n % 6] for n in range(len(rows))])


def test_what_is_rated_less_is_dropped_and_counted(tmp_path, rated):
    counts, words = said(dataclasses.replace(rated, least_rating=4), Place.of(tmp_path / "x"))
    assert (counts["interactions"], counts["dropped"]["low_rating"], counts["dropped"]["no_rating"]) == (18, 12, 6)
    assert any("12 dropped: interactions with a rating below 4 (catalog.least_rating)" in line for line in words)
    assert any("6 dropped: interactions without a rating (catalog.least_rating)" in line for line in words)
    done = [(each.count, each.setting) for each in summary.decisions(counts)]
    assert (12, "catalog.least_rating") in done
    read, _ = make(dataclasses.replace(rated, least_rating=4), Place.of(tmp_path / "y"))
    given = [line.split(",") for line in (tmp_path / "rows.csv").read_text().splitlines()[1:]]
    kept = {(user, item, int(time)) for user, item, time, stars in given if stars and float(stars) >= 4}
    names, users = read.item_ids.to_pylist(), read.user_ids.to_pylist()
    where = zip(read.user.tolist(), read.item.tolist(), read.timestamp.tolist(), strict=True)
    assert {(users[u], names[i], time) for u, i, time in where} == kept


def test_without_a_threshold_all_stays_as_it_was(tmp_path, rated):
    plain = dataclasses.replace(rated, dataset=dataclasses.replace(rated.dataset, rating=""))
    first, second = (make(config, Place.of(tmp_path / name))[0] for name, config in (("x", plain), ("y", rated)))
    assert bytes_of(first.place) == bytes_of(second.place)
    identity = [fingerprint(to_record(config, identity=True)) for config in (plain, catalog.Config(**vars(plain)))]
    assert identity[0] == identity[1]
    assert "least_rating" not in to_record(plain, identity=True)
    assert "rating" not in to_record(plain, identity=True)["dataset"]
    four, five = (fingerprint(to_record(dataclasses.replace(rated, least_rating=n), identity=True)) for n in (4, 5))
    assert len({identity[0], four, five}) == 3


def test_ratings_of_other_types_are_numbers_too(tmp_path, rated):
    rows = walks([START + n for n in range(6)])
    columns = dict(zip(("user_id", "item_id", "timestamp"), map(list, zip(*rows, strict=True)), strict=True))
    path = tmp_path / "rows.parquet"
    config = dataclasses.replace(
        rated, dataset=dataclasses.replace(rated.dataset, interactions=str(path)), least_rating=5
    )
    given = [n % 10 for n in range(len(rows))]
    kinds = pa.int8(), pa.float32(), pa.decimal128(21, 1), pa.dictionary(pa.int8(), pa.string())
    for number, kind in enumerate(kinds):
        stars = pa.array(list(map(str, given))) if pa.types.is_dictionary(kind) else pa.array(given)
        stars = stars.dictionary_encode() if pa.types.is_dictionary(kind) else stars.cast(kind)
        pq.write_table(pa.table(columns | {"stars": stars}), path)
        counts, _ = said(config, Place.of(tmp_path / str(number)))
        assert counts["dropped"]["low_rating"] == sum(value < 5 for value in given)
    pq.write_table(pa.table(columns | {"stars": pa.array([True] * len(rows))}), path)
    with pytest.raises(DataError, match="the ratings: holds bool; must be numbers, or text of them"):
        said(config, Place.of(tmp_path / "bool"))


def test_a_data_set_with_ratings_of_its_own_needs_no_name(tmp_path):
    (tmp_path / "movies.dat").write_text("1::One (1995)::Drama\n2::Two (1996)::Drama\n")
    rows = "".join(f"{u}::{1 + (u + n) % 2}::{n + 1}::{978300760 + n}\n" for u in range(4) for n in range(5))
    (tmp_path / "ratings.dat").write_text(rows)
    dataset = movielens.Config(size="1m", path=str(tmp_path))
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, least_rating=3)
    counts, _ = said(config, Place.of(tmp_path / "x"))
    assert (counts["interactions"], counts["dropped"]["low_rating"]) == (12, 8)


@pytest.mark.parametrize(
    ("ratings", "settings", "message"),
    [
        ([*"5555", "good", "5"], {}, r"the ratings, \S*rows.csv, line 6: 'good' is no number, such as 4 or 3.5"),
        ([*"555555"], {"dataset": synthetic.Config()}, "no column says how one was rated; name it as catalog.dataset"),
        ([*"111111"], {}, r"no interaction is left \(dropped: low_rating 6\)"),
    ],
)
def test_what_is_no_rating_is_refused(tmp_path, ratings, settings, message):
    config = of_ratings(tmp_path, walks([START + n for n in range(6)], users=1), ratings)
    with pytest.raises(DataError, match=message):
        said(dataclasses.replace(config, least_rating=3, **settings), Place.of(tmp_path / "x"))
    with pytest.raises(ConfigError, match=r"catalog.least_rating: is nan"):
        dataclasses.replace(config, least_rating=float("nan"))
