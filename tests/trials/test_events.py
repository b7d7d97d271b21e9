"""What the driver says and keeps of trials while a runner makes them."""

from types import SimpleNamespace

import pytest

from tests.lines import logged
from unisid.errors import DataError
from unisid.trials import events
from unisid.trials.events import TrialEvents, refuse_failures

TRIALS = [SimpleNamespace(name=name) for name in ("first", "second", "third")]


@pytest.fixture
def heard(monkeypatch):
    """The lines, the ends, and the handler of the trials 2 and 0, in the runner's order."""
    monkeypatch.setattr(events, "SECONDS", 0.0)
    ends = []
    with logged() as lines:
        yield lines, ends, TrialEvents(TRIALS, [2, 0], lambda *end: ends.append(end))


def test_each_end_goes_to_the_trial_and_not_to_the_runners_number(heard):
    lines, ends, handle = heard
    handle(0, "begun", {})
    handle(1, "begun", {})
    handle(1, "done", {})
    handle(0, "lost", {"error": "out of memory"})
    assert lines == ["third: begun", "first: begun"]
    assert ends == [(0, "complete", ""), (2, "failed", "out of memory")]


def test_a_result_may_be_an_error(heard):
    _, ends, handle = heard
    handle(1, "done", {"error": "the codes are too few"})
    assert ends == [(0, "failed", "the codes are too few")]


def test_a_trial_that_starts_once_more_says_why(heard):
    lines, _, handle = heard
    handle(0, "begun", {})
    handle(0, "begun", {})
    assert lines[1] == "third: begun again, its process died"


def test_what_was_stopped_says_where_it_stood(heard):
    lines, ends, handle = heard
    handle(0, "reported", {"time": 2, "value": 0.25})
    handle(0, "stopped", {})
    handle(1, "stopped", {})
    assert lines == ["third: epoch 2, 0.2500"]
    assert ends == [(2, "stopped", "after 2 at 0.2500"), (0, "stopped", "after 0 at nan")]


def test_failures_are_listed_by_their_last_line():
    refuse_failures("search s", {}, "2 trials", "--resume")
    with pytest.raises(DataError) as refused:
        refuse_failures("search s", {"a 1": "Traceback\n  at\nValueError: no", "a 2": "full"}, "3 trials", "--resume")
    assert str(refused.value).splitlines() == [
        "search s: 2 of 3 trials failed; the table holds the others, --resume tries these again",
        "  a 1: ValueError: no",
        "  a 2: full",
    ]
