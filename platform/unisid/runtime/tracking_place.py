"""Where MLflow's database and files lie for a store, and how a person looks at them.

A local path becomes a URI in one place, here: quoted, so that a folder may be called `a#b`, `what?`, `a%20b` or
`my shop`.
"""

import os
import shlex
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from unisid.artifacts.store import Place
from unisid.masked import masked

FILES = "mlflow-artifacts"
"""The folder of MLflow's files, beside its database."""


def tracking_uri(store: Place) -> str:
    """MLFLOW_TRACKING_URI, or an SQLite database beside the artifacts (in the working folder for a remote store)."""
    folder = store.filesystem[1] if store.is_local else str(Path.cwd())
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(Path(folder) / "mlflow.db")


def sqlite_uri(database: Path) -> str:
    """The URI of an SQLite database, which SQLAlchemy unquotes.

    Of `sqlite:///`, MLflow makes the folder of the path as it is written, still quoted; of a named driver it does not.
    """
    path = str(database.absolute())
    return f"{'sqlite' if quote(path) == path else 'sqlite+pysqlite'}:///{quote(path)}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other database, server or memory."""
    scheme, _, path = uri.partition(":///")
    named = unquote(path.partition("?")[0])
    if scheme.partition("+")[0] != "sqlite" or named in ("", ":memory:"):
        return None
    return Path(named).absolute()


def files_of(uri: str) -> Path | None:
    """The folder of MLflow's files beside an SQLite database; None where a server decides."""
    database = sqlite_file(uri)
    return None if database is None else database.parent / FILES


def local_path(uri: str) -> Path | None:
    """The path that MLflow reads from a `file://` URI; None for what is not on this machine."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    return Path(unquote(parts.path))


def how_to_look(store: Place) -> str:
    """The tracking URI without its secrets, with the command that shows what is there."""
    uri = tracking_uri(store)
    if urlsplit(uri).scheme.partition("+")[0] not in ("sqlite", "postgresql", "mysql", "mssql"):
        return masked(uri)
    given = shlex.quote(uri) if masked(uri) == uri else '"$MLFLOW_TRACKING_URI"'
    return f"{masked(uri)}  (mlflow ui --backend-store-uri {given})"
