"""Days of the settings against Python's own calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from unisid.errors import ConfigError
from unisid.stages.catalog.days import FOREVER, YEAR_ZERO, end_of, iso_day, start_of, year_earlier


@pytest.mark.parametrize(("text", "day"), [("2016-10", (2016, 10, 1)), ("1999-12-31", (1999, 12, 31))])
def test_a_day_starts_at_midnight_in_utc(text, day):
    assert start_of(text) == datetime(*day, tzinfo=UTC).timestamp()
    assert iso_day(start_of(text)) == datetime(*day, tzinfo=UTC).date().isoformat()


def test_no_day_is_the_beginning_or_the_end_of_time():
    assert (start_of(""), end_of("")) == (YEAR_ZERO, FOREVER)
    assert end_of("2016-10") == start_of("2016-10")


def test_what_is_no_day_is_refused():
    with pytest.raises(ConfigError, match="catalog: 'last year' is no day; write 2016-10 or 2016-10-01"):
        start_of("last year")


def test_a_year_earlier_is_the_same_day_of_the_calendar():
    for offset in range(0, 1500, 7):
        moment = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=offset)
        earlier = datetime.fromtimestamp(year_earlier(int(moment.timestamp())), UTC)
        assert (earlier.year, earlier.month) == (moment.year - 1, moment.month)
        assert earlier.day == (28 if (moment.month, moment.day) == (2, 29) else moment.day)
