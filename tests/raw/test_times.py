"""Columns of times, whatever they are written in: exact to the finest unit given, and none that cannot be true."""

import datetime
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import DataError
from unisid.raw.time_ranges import PER_SECOND, Clock, Times
from unisid.raw.times import positions, times

DROP, KEEP = Times(missing="drop"), Times(outlying="keep")


def seconds(values, unit="s", policy=Times(), kind=None):  # noqa: B008
    """The times of a column, in exact seconds."""
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values, kind)])
    found = times(column, "rows.csv, column 'timestamp'", Clock(unit, policy))
    per = PER_SECOND[found.type.unit]
    return [None if n is None else Fraction(n, per) for n in found.cast(pa.int64()).to_pylist()]


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        (["1600000000.1", "1600000000.25"], "s", ["1600000000.1", "1600000000.25"]),
        (["1600000000.123456789", "1600000001"], "s", ["1600000000.123456789", 1600000001]),
        (["1600000000123456789", "1600000000123456788"], "ns", ["1600000000.123456789", "1600000000.123456788"]),
        (["1600000000123.25"], "ms", ["1600000000.12325"]),
        (["+1600000000", "1600000000."], "s", [1600000000, 1600000000]),
        (["1.6e9", "1600000000.5"], "s", [1600000000, "1600000000.5"]),
        ([1600000000.1, 1600000000.2], "s", ["1600000000.1", "1600000000.2"]),
        ([1600000000001.0, 1600000000002.0], "ms", ["1600000000.001", "1600000000.002"]),
        ([1600000000001, 1600000000002], "ms", ["1600000000.001", "1600000000.002"]),
        ([1600000000000001], "us", ["1600000000.000001"]),
        ([1600000000000000001], "ns", ["1600000000.000000001"]),
        (["2020-09-13 12:26:40.1", "2020-09-13T12:26:40.000000001"], "s", ["1600000000.1", "1600000000.000000001"]),
        (["2020-09-13T14:26:40.5+02:00", "2020-09-13 12:26:40"], "s", ["1600000000.5", 1600000000]),
        (["2020-09-13 12:26:40 UTC", "2020-09-13 12:26:40.25Z"], "s", [1600000000, "1600000000.25"]),
        (["2020-09-13", "2020-09-13T12:26"], "s", [1599955200, 1599999960]),
        (["-0.5", "3"], "s", ["-0.5", 3]),
        (["1600-01-01", "1600-01-02"], "s", [-11676096000, -11676009600]),
    ],
)
def test_the_finest_unit_given_is_kept(values, unit, expected):
    assert seconds(values, unit, KEEP) == [Fraction(value) for value in expected]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_arrow_timestamp_keeps_its_unit_in_any_zone(unit):
    moment = 1600000000 * PER_SECOND[unit] + (unit != "s")
    for zone in (None, "UTC", "Europe/Paris"):
        column = pa.chunked_array([pa.array([moment], pa.timestamp(unit, zone))])
        assert seconds(column) == [Fraction(moment, PER_SECOND[unit])]


@pytest.mark.parametrize(("unit", "places"), [("s", 9), ("ms", 6), ("us", 3)])
@given(data=st.data())
def test_text_is_read_to_its_last_digit(unit, places, data):
    numbers = data.draw(st.lists(st.decimals(0, 3_000_000_000, places=places), min_size=1, max_size=20))
    expected = [Fraction(number) / PER_SECOND[unit] for number in numbers]
    assert seconds([f"{number:f}" for number in numbers], unit, KEEP) == expected


def test_days_are_days():
    assert seconds([datetime.date(2020, 9, 13)]) == [1599955200]
    assert seconds([1599955200000], kind=pa.date64()) == [1599955200]


@pytest.mark.parametrize(
    ("values", "unit", "message"),
    [
        ([1600006508007, 1600009359007], "s", r"the year 52,672 and .* as 'ms', .* is 2020-09-13; set .*unit to ms"),
        (["1600006508007", "1600009359007"], "s", r"set catalog.dataset.unit to ms"),
        ([1600006508007.0], "s", r"unit to ms"),
        (["1600006508007.5"], "s", r"unit to ms"),
        ([1600006508007000], "s", r"unit to us"),
        ([1600006508007000000], "s", r"unit to ns"),
        ([1600006508007000], "ms", r"unit to us"),
        ([1600006508007000000], "ms", r"unit to ns"),
        ([1600006508007000000], "us", r"unit to ns"),
        ([1600006508], "ms", r"1970-01-19 and 1970-01-19, read as 'ms'; as 's', 1600006508 is 2020-09-13; .* to s"),
        ([1600006508], "us", r"unit to s"),
        ([1600006508], "ns", r"unit to s"),
        ([1600006508007], "ns", r"unit to ms"),
        (["20201130", "20210101"], "s", r"numbers like 20201130 look like days written in digits"),
        ([202011301530], "s", r"like 202011301530 look like minutes written in digits: .* like 2018-11-30 08:15$"),
        ([20201130153000], "s", r"like 20201130153000 look like seconds written in digits"),
        (["20201130153000", "20201130153001"], "ms", r"look like seconds written in digits"),
        ([20201130153000250], "s", r"like 20201130153000250 look like milliseconds written in digits"),
        ([20209930153000], "s", r"in no unit of s, ms, us, ns between 1980 and 2080"),
        ([-5, -4, -3], "s", r"in no unit .* only an order"),
    ],
)
def test_a_unit_that_cannot_be_true_is_refused_with_the_one_that_fits(values, unit, message):
    with pytest.raises(DataError, match=message):
        seconds(values, unit)


def test_numbers_beyond_every_time_are_refused_by_their_row():
    for values in ([5, 2**64 - 1], [5, 2**63]):
        with pytest.raises(DataError, match=rf"row 2: '{values[1]}' is no time"):
            seconds(values, kind=pa.uint64())
        with pytest.raises(DataError, match=rf"row 2: '{values[1]}' is no time"):
            positions(pa.chunked_array([pa.array(values, pa.uint64())]), "rows.csv")


def test_narrow_floats_that_hold_many_seconds_as_one_are_refused():
    message = r"row 2: 1600000000 is beyond 2\^24, where float holds 128 whole numbers as one, .* \(2 such rows\)"
    with pytest.raises(DataError, match=message):
        seconds([None, 1.6e9, 1.6e9 + 128], policy=DROP, kind=pa.float32())
    assert positions(pa.chunked_array([pa.array([1.0, 2.0**24 - 1], pa.float32())]), "x").to_pylist() == [1, 2**24 - 1]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_column_of_timestamps_written_from_the_wrong_unit(unit):
    column = pa.chunked_array([pa.array([1600000000], pa.timestamp(unit))])
    with pytest.raises(DataError, match=r"as 's', 1600000000 is 2020-09-13; write the column anew"):
        seconds(column)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (10**18, r"1000000000000000000 under the unit 's' is the year .*as 'ns', 1000000000000000000 is 2001-09-09"),
        (1600006508007, r"1600006508007 under .* is the year 52,672, .*; as 'ms', 1600006508007 is 2020-09-13"),
        (0, r"0 under the unit 's' is 1970-01-01, while most times lie between 2020-09-13 and 2020-09-13 "),
        (-1, r"-1 under the unit 's' is 1969-12-31"),
    ],
)
def test_one_row_that_cannot_be_true_is_named_with_the_unit_that_fits(odd, said):
    for values in ([1600000000] * 3 + [odd], [str(v) for v in [1600000000] * 3 + [odd]]):
        with pytest.raises(DataError, match=rf"row 4: {said}.* set catalog.dataset.times.outlying to drop"):
            seconds(values)
    assert seconds([1600000000] * 3 + [odd], policy=KEEP)[-1] == odd


def test_a_day_that_stands_for_none():
    with pytest.raises(DataError, match=r"row 3: the time is 9999-12-31, while most times lie between"):
        seconds(["2020-01-01", "2020-01-02", "9999-12-31"])


def test_fractions_survive_a_time_that_no_fine_unit_can_hold():
    found = seconds(["1600000000.5", "1600000000.25", str(10**18)], policy=Times(outlying="drop"))
    assert found[:2] == [Fraction("1600000000.5"), Fraction("1600000000.25")]
    assert found[2] > 2 * 10**9


@pytest.mark.parametrize("values", [[1, 2, 3], [0, 0], ["0", "1"], [10**7, 10**7 + 1], [1.0, 2.0]])
def test_counts_that_are_no_dates_in_any_unit_are_an_order(values):
    assert seconds(values) == [Fraction(value) for value in values]


@pytest.mark.parametrize(
    "values",
    [
        ["5", "", None],
        [5, None, None],
        [5.0, float("nan"), None],
        ["5", "NaT", "null"],
        ["2020-01-01", "", "NaN"],
        ["2020-01-01 10:00:00Z", None, ""],
    ],
)
def test_rows_without_a_time_are_refused_or_left_to_be_dropped(values):
    with pytest.raises(DataError, match=r"row 2: .* is no time \(2 such rows\).*catalog.dataset.times.missing to drop"):
        seconds(values)
    assert seconds(values, policy=DROP)[1:] == [None, None]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2018-11-30", "2018-13-30"], r"row 2: '2018-13-30' is no time; there is no such day or hour"),
        (["2018-11-30 10:00:00Z", "2018-11-30 25:00:00Z"], r"row 2: '2018-11-30 25:00:00Z' is no time"),
        (["5", "1e40"], r"row 2: '1e40' is no time"),
        (["5", "99999999999999999999999"], r"row 2: '9{23}' is no time"),
        ([float("inf"), 5.0], r"row 1: 'inf' is no time"),
        (["", "x"], r"row 2: 'x' is no time \(1 such rows\)"),
        ([True, False], r"holds bool; times must be numbers"),
        ([datetime.time(1, 2)], r"holds time64\[us\]; times must be numbers"),
        ([[1, 2]], r"holds list<.*>; times must be numbers"),
    ],
)
def test_what_is_no_time_is_named(values, message):
    with pytest.raises(DataError, match=message):
        seconds(values, policy=DROP)


def test_positions_are_whole_and_complete():
    assert positions(pa.chunked_array([["2", "-1"]]), "p").to_pylist() == [2, -1]
    assert positions(pa.chunked_array([[1.0, 2.0]]), "p").to_pylist() == [1, 2]
    with pytest.raises(DataError, match=r"p, row 2: '' is no time"):
        positions(pa.chunked_array([["2", ""]]), "p")
