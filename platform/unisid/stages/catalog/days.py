"""Days of the settings, as seconds since 1970 in UTC."""

from datetime import UTC, datetime

import numpy as np

from unisid.errors import ConfigError

YEAR_ZERO, FOREVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def start_of(text: str) -> int:
    """The first second of a day, 2016-10 or 2016-10-01 in UTC; of the empty text, the beginning of time."""
    if not text:
        return int(YEAR_ZERO)
    try:
        return int(datetime.fromisoformat(text if len(text) > 7 else f"{text}-01").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise ConfigError(f"catalog: '{text}' is no day; write 2016-10 or 2016-10-01") from None


def end_of(text: str) -> int:
    """The same, of the empty text the end of time."""
    return start_of(text) if text else int(FOREVER)


def year_earlier(start: int) -> int:
    """The same moment one year before; the 28th of February for a leap day."""
    moment = datetime.fromtimestamp(start, UTC)
    leap_day = moment.month == 2 and moment.day == 29
    return int(moment.replace(year=moment.year - 1, day=28 if leap_day else moment.day).timestamp())


def iso_day(start: int) -> str:
    """A moment's day, as 2016-10-01."""
    return datetime.fromtimestamp(start, UTC).date().isoformat()
