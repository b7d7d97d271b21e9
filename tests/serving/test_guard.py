"""The guard withdraws a pair for what it did with live rows, and for nothing else."""

import pytest

from unisid.serving.guard import Tally, fault_of
from unisid.serving.settings import Serving

LIMITS = Serving(guard_rows=10, most_errors=0.1, most_slower=3, least_agreement=0.5)


def tally(rows=100, errors=0, seconds=1.0, pairs=()):
    found = Tally()
    found.add(rows, errors, seconds)
    for new, old in pairs:
        found.compare(new, old)
    return found


@pytest.mark.parametrize(
    ("now", "before", "why"),
    [
        (tally(), tally(), ""),
        (tally(errors=10), tally(), ""),
        (tally(errors=11), tally(), "11 of 100 rows failed, serving.most_errors is 0.1"),
        (tally(seconds=3.0), tally(), ""),
        (tally(seconds=3.1), tally(), "a row took 31.0 ms, 3.1 times as long as before"),
        (tally(seconds=99), Tally(), ""),  # nothing is known of the time before
        (tally(pairs=[([1, 2], [2, 3]), ([4], [4])]), tally(), ""),
        (tally(pairs=[([1, 2], [2, 3]), ([4], [5])]), tally(), "0.250 of its items are recommended by the pair before"),
    ],
)
def test_faults(now, before, why):
    assert fault_of(now, before, LIMITS).startswith(why)
    assert bool(fault_of(now, before, LIMITS)) == bool(why)


def test_what_is_not_limited_is_not_looked_at():
    loose = Serving(most_errors=1, most_slower=0)
    assert not fault_of(tally(errors=100, seconds=99, pairs=[([1], [2])]), tally(), loose)
