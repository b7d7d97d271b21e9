"""What is published after the last artifact: once, the next time where a run was ended before, and to every tracker."""

import contextlib

import pytest

from tests.lines import logged
from tests.three_stages import Recipe, states, use_small_stages
from unisid import pipeline, publication
from unisid.artifacts import lease
from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError
from unisid.report import html
from unisid.runtime.local import LocalCompute

ALL = ["catalog", "embeddings", "codes"]
ALL_SORTED = sorted(ALL)


@pytest.fixture(autouse=True)
def small_stages(monkeypatch):
    use_small_stages(monkeypatch)


@pytest.fixture
def store(place, monkeypatch):
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)
    return Store(place)


class Server(pipeline.NullTracker):
    """A tracker that may be away."""

    uri = "http://server"

    def __init__(self, away=False):
        self.away, self.got = away, []

    def publish(self, name, places, report):
        self.got += [] if self.away else [sorted(places)]
        self.trouble = "away" if self.away else ""


def told(store, tracker, recipe=None):
    with logged() as said:
        pipeline.run(recipe or Recipe(), store, LocalCompute(), tracker, "codes")
    return said


def test_a_run_that_was_ended_before_its_report_writes_it_next_time(store, monkeypatch):
    reports = []

    def fails(places, out, note):
        raise ArtifactError("no space left")

    monkeypatch.setattr(html, "write_report", fails)
    with pytest.raises(ArtifactError, match="no space left"):
        told(store, Server())
    assert set(states(store, Recipe()).values()) == {"complete"}
    monkeypatch.setattr(html, "write_report", lambda places, out, note: reports.append(out.write("report.html", b"r")))
    server = Server()
    assert told(store, server) == ["everything is there, nothing to make; what was not published yet is published now"]
    assert (len(reports), server.got) == (1, [ALL_SORTED])
    assert told(store, server) == ["everything is there, nothing to make"]
    assert (len(reports), server.got) == (1, [ALL_SORTED])
    pipeline.report_place(Recipe(), store).remove("report.html")
    told(store, server)
    assert len(reports) == 2, "a report that is gone is written again"


class Unregistered(Server):
    """Is interrupted before anything is registered."""

    def publish(self, name, places, report):
        raise KeyboardInterrupt


class Unclosed(Server):
    """Is interrupted when all is registered, and its run not closed."""

    @contextlib.contextmanager
    def pipeline(self, name, params, tags):
        yield
        raise KeyboardInterrupt


@pytest.mark.parametrize("ended", [Unregistered, Unclosed])
def test_a_run_that_was_ended_before_it_was_registered_and_closed_registers_next_time(store, ended):
    with pytest.raises(KeyboardInterrupt):
        told(store, ended())
    server = Server()
    told(store, server)
    assert server.got == [ALL_SORTED]


def test_a_tracker_that_was_away_is_left_to_sync(store):
    away, back = Server(away=True), Server()
    told(store, away)
    said = told(store, back)
    assert said[0] == "everything is there, nothing to make"
    assert "unisid sync" in said[1]
    assert back.got == []
    pipeline.sync(Recipe(), store, back, "codes")
    assert back.got == [ALL_SORTED]
    assert told(store, back) == ["everything is there, nothing to make"]


def test_another_tracker_gets_it_too(store):
    told(store, Server())
    other = Server()
    other.uri = "http://other"
    told(store, other)
    assert other.got == [ALL_SORTED]
    told(store, pipeline.NullTracker())
    first = Server()
    told(store, first)
    assert first.got == []


def test_a_moved_store_has_its_database_with_it(tmp_path):
    def server(folder):
        found = Server()
        found.uri = f"sqlite:///{folder}/mlflow.db"
        return found

    told(Store(Place.of(tmp_path / "here")), server(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    moved = server(tmp_path / "there")
    assert told(Store(Place.of(tmp_path / "there")), moved) == ["everything is there, nothing to make"]
    assert moved.got == []
    elsewhere = server(tmp_path / "else")
    told(Store(Place.of(tmp_path / "there")), elsewhere)
    assert elsewhere.got == [ALL_SORTED]


def test_a_part_of_what_is_published_is_not_published_again(store):
    server = Server()
    told(store, server)
    pipeline.run(Recipe(), store, LocalCompute(), server, "embeddings")
    assert server.got == [ALL_SORTED]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"artifacts": 3}', b'{"files": {}, "more": 1}'])
def test_a_damaged_note_of_what_is_published_is_written_anew(store, body):
    told(store, Server())
    folder = pipeline.report_place(Recipe(), store)
    folder.write(publication.NOTE, body)
    server = Server()
    told(store, server)
    assert server.got == [ALL_SORTED]
    assert publication.published(folder).artifacts.keys() == set(ALL)


def test_machines_are_opened_only_where_something_is_to_be_made(store):
    def machines():
        raise AssertionError("opened")

    told(store, Server())
    pipeline.report_place(Recipe(), store).remove(publication.NOTE)
    server = Server()
    pipeline.run_on(Recipe(), store, machines, server, "codes")
    assert server.got == [ALL_SORTED]
