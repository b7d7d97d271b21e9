"""What is told while parts are mapped: bounded in number, complete at the end, in words and in figures."""

from types import SimpleNamespace

import pytest

from unisid.stages import progress
from unisid.stages.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.at)
    return now


@pytest.fixture
def job():
    figures, lines = [], []
    return SimpleNamespace(report=figures.append, say=lines.append, figures=figures, lines=lines)


def test_it_tells_every_few_seconds_and_at_the_end(job, clock):
    counted = Progress(job, total=1200, what="files")
    for _ in range(1200):
        clock.at += 1 / 64
        counted.advance()
    assert [f["files_done"] for f in job.figures] == [320, 640, 960, 1200]
    assert [f["step"] for f in job.figures] == [320, 640, 960, 1200]
    assert [f["files_per_second"] for f in job.figures] == [64] * 4
    assert [job.lines[0], job.lines[-1]] == ["320 of 1,200 files, 64 a second", "1,200 of 1,200 files, 64 a second"]


def test_what_is_quick_is_told_once(job, clock):
    clock.at += 1
    counted = Progress(job, total=30, what="samples", of="uqf-tiger")
    clock.at += 2
    for count in (10, 20):
        counted.advance(count)
    assert job.lines == ["uqf-tiger: 30 of 30 samples, 15 a second"]
    assert job.figures == [{"step": 30, "uqf-tiger.samples_done": 30, "uqf-tiger.samples_per_second": 15}]
