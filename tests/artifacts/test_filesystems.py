"""File systems behind URIs: one that refuses does so in words, whatever its library raises."""

import http.server
import threading

import pytest

from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError, ConfigError, UnisidError
from unisid.raw.files import find, read_whole

SECRET = "hunter2"


def refusal(uri):
    """The error of a store there; nothing where there might be one."""
    try:
        Store(Place.of(uri)).check()
    except UnisidError as error:
        return error
    return None


@pytest.mark.parametrize(
    "uri",
    [
        f"https://me:{SECRET}@localhost:1/x",
        "http://localhost:1/x",
        f"ftp://me:{SECRET}@localhost:1/x",
        f"webhdfs://me:{SECRET}@localhost:1/x",
        "data://x",
        "hf://datasets/x",
        "reference://x",
        "dir::file:///nowhere",
        f"foo://me:{SECRET}@host/x",
    ],
)
def test_a_store_where_none_can_be_is_refused_in_words(uri):
    """Their libraries raise TypeError, AttributeError, ValueError and errors of their own."""
    error = refusal(uri)
    assert isinstance(error, ConfigError | ArtifactError | None)
    assert SECRET not in str(error)


def test_a_file_system_without_what_it_needs_names_that():
    with pytest.raises(ConfigError, match=r"no file system for 'reference://' \(.* missing 1 required .*'fo'\)"):
        Store(Place.of("reference://x")).check()


def test_an_error_of_its_library_is_the_cause_that_is_shown(monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    class OddError(Exception):
        pass

    def fails(self, path, **given):
        raise OddError("the session is closed")

    monkeypatch.setattr(MemoryFileSystem, "info", fails)
    with pytest.raises(ArtifactError, match=r"memory://odd: cannot be read \(.*OddError: the session is closed\)"):
        Store(Place.of("memory://odd")).check()


def test_raw_files_are_read_from_a_web_server(tmp_path):
    """With the query that a signed address has."""
    (tmp_path / "items.csv").write_text("item_id,title\n1,Pen\n")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(tmp_path))

        def log_message(self, form, *values):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/items.csv?signature=abc"
        assert find("catalog.dataset.items", uri) == uri
        assert read_whole(uri) == b"item_id,title\n1,Pen\n"
        server.shutdown()
    assert set(asked) == {"/items.csv?signature=abc"}
