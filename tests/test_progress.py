"""What is told while parts are mapped: bounded in number, complete at the end, in words and in figures."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from tests.lines import logged
from unisid import progress
from unisid.compute import Pool, Step
from unisid.progress import HowFar, Progress, Reported, Throttle, lasting, mapped
from unisid.runtime.local import LocalCompute


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.at)
    return now


@pytest.fixture
def job():
    figures = []
    with logged() as lines:
        yield SimpleNamespace(report=figures.append, figures=figures, lines=lines, compute=LocalCompute())


def doubled() -> Step:
    def make():
        return lambda part: pa.table({"twice": [2 * part["n"][0].as_py()]})

    return Step(make, Pool())


def test_it_reports_every_few_seconds_and_at_the_end(job, clock):
    counted = Progress(job.report, total=1200, what="files")
    for _ in range(1200):
        clock.at += 1 / 64
        counted.advance()
    assert [f["files_done"] for f in job.figures] == [320, 640, 960, 1200]
    assert [f["step"] for f in job.figures] == [320, 640, 960, 1200]
    assert [f["files_per_second"] for f in job.figures] == [64] * 4
    assert [job.lines[0], job.lines[-1]] == ["320 of 1,200 files, 64 a second", "1,200 of 1,200 files, 64 a second"]


def test_what_is_quick_is_told_once(job, clock):
    clock.at += 1
    counted = Progress(job.report, total=30, what="samples", of="uqf-tiger")
    clock.at += 2
    for count in (10, 20):
        counted.advance(count)
    assert job.lines == ["uqf-tiger: 30 of 30 samples, 15 a second"]
    assert job.figures == [{"step": 30, "uqf-tiger.samples_done": 30, "uqf-tiger.samples_per_second": 15}]


def test_mapped_parts_are_counted(job, clock):  # which stands still
    tables = list(mapped(job, [{"n": n} for n in range(50)], doubled(), "files", of="items"))
    assert sorted(table["twice"][0].as_py() for table in tables) == [2 * n for n in range(50)]
    assert [report["items.files_done"] for report in job.figures] == [50]


def test_of_a_lone_part_nothing_is_told(job):
    assert len(list(mapped(job, [{"n": 1}], doubled(), "files"))) == 1
    assert job.figures == job.lines == []


def test_a_throttle_is_true_once_in_so_many_seconds(clock):
    """At 5 s: from the start, or 5 s after the last time that it was true."""
    due, eager = Throttle(5.0), Throttle(5.0, at_once=True)
    found = []
    for clock.at in (100.0, 104.9, 105.0, 109.0, 110.5, 111.0):
        found.append((due(), eager()))
    assert found == [(False, True), (False, False), (True, True), (False, False), (True, True), (False, False)]


def test_work_of_a_known_size_is_reported_now_and_then_and_its_end_where_it_was_before(job, clock):
    moved = Reported(job.report, "start.rounds", 15.0)
    for done in range(1, 11):
        clock.at += 4
        moved(done, 10)
    assert [HowFar.all_in(values) for values in job.figures] == [
        [HowFar("start.rounds", done, 10, 0.25)] for done in (4, 8, 10)
    ]
    job.figures.clear()
    quick = Reported(job.report, "start.rounds", 15.0)
    quick(5, 10)
    quick(10, 10)
    Reported(None, "start.rounds", -1.0)(5, 10)
    assert job.figures == []


def test_how_far_something_is_in_words():
    assert str(HowFar("steps", 1200, 5000, 2.0)) == "1,200 of 5,000 steps, 2 a second, 32 min left"
    assert str(HowFar("m.samples", 3, 3, 0.5)) == "m: 3 of 3 samples, 0.5 a second"
    assert [lasting(seconds) for seconds in (40.4, 600.0, 9000.0)] == ["40 s", "10 min", "2.5 h"]
    assert HowFar.all_in({"step": 3, "files_done": 3, "files_per_second": 1.0}) == []


def test_a_figure_that_only_ends_like_a_total_is_kept():
    """A plug-in names its figures as it likes."""
    own = {"loss_total": 1.0, "step": 3}
    assert HowFar.all_in(own) == []
    assert HowFar.without_totals(own) == own
    counted = HowFar("rows", 3, 9, 1.5).figures
    assert HowFar.without_totals(own | counted) == own | {"rows_done": 3, "rows_per_second": 1.5}
