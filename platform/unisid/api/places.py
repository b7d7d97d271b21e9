"""The store that a caller means."""

import os
from pathlib import Path

from unisid.artifacts.store import Place, Store
from unisid.errors import ConfigError

VARIABLE, FOLDER = "UNISID_STORE", "runs"
"""What names the store where the caller does not, and what it is called where nothing does."""


def default_store() -> str:
    """The store that the environment names, else the folder `runs`."""
    return os.environ.get(VARIABLE, FOLDER)


def store_of(given: str | Path | Store | None = None) -> Store:
    """The store at a folder or URI, which need not exist yet; None for the one that UNISID_STORE names, else `runs`.

    Raises:
        ConfigError: no folder is named, or a Ray job would lose what it writes there.
        ArtifactError: it is a file, or may not be read.
    """
    store = named_store(given)
    store.check()
    return store


def named_store(given: str | Path | Store | None = None) -> Store:
    """The same, whatever lies there: nothing is read.

    Raises:
        ConfigError: as `store_of`.
    """
    if isinstance(given, Store):
        return given
    text = str(default_store() if given is None else given)
    if not text:
        raise ConfigError("store '': no folder is named; give a folder or a URI (--store or UNISID_STORE)")
    lost = "://" not in text and not Path(text).is_absolute()
    if lost and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ConfigError(
            f"store '{text}': would lie in this job's own copy of the working folder, and go with it; "
            "give a URI or the absolute path of a shared folder (--store or UNISID_STORE)"
        )
    return Store(Place.of(text))
