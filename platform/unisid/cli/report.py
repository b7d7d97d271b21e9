"""`unisid report`: where the report of a run lies, opened in a browser."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import contextlib
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unisid.artifacts.lookup import newest_of
from unisid.artifacts.store import NOUNS, Place, Store
from unisid.config import did_you_mean
from unisid.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]

FILE = "report.html"


def add_commands(command: Command, store_of: Callable[[argparse.Namespace], Store]) -> None:
    """Tell the parser of the command."""
    sub = command("report", lambda args: _report(args, store_of(args)), "Print where a run's report lies, or open it.")
    sub.add_argument("name", nargs="?", help="such as demo or demo/2 (default: of the newest artifacts)")
    sub.add_argument("--open", action="store_true", help="open it in a browser")


def _report(args: argparse.Namespace, store: Store) -> None:
    place = _found(store, args.name) if args.name else _newest(store)
    print(place / FILE)
    if args.open:
        if not place.is_local:
            raise ConfigError(f"{place / FILE}: is not on this machine; fetch it, and open it there")
        if not webbrowser.open((Path(place.filesystem[1]) / FILE).as_uri()):
            raise ConfigError(f"{place / FILE}: no browser is found to open it; open it by hand, or set BROWSER")


def _found(store: Store, name: str) -> Place:
    """Where the report of a name, or of a name and version, lies."""
    whole = name if "/" in name else f"{name}/1"
    names = _names(store)
    if whole not in names:
        known = ", ".join(sorted(names)) or "none yet; a run writes one"
        raise ArtifactError(f"report '{name}': not in {store.root}{did_you_mean(whole, names)}; known: {known}")
    return names[whole]


def _newest(store: Store) -> Place:
    """Where the report of the artifacts that were completed last lies, of the furthest noun that has any."""
    names = _names(store)
    for noun in reversed(NOUNS):
        with contextlib.suppress(ArtifactError):
            address, _ = newest_of(store, noun, None)
            if (place := names.get(f"{address.name}/{address.version}")) is not None:
                return place
    raise ArtifactError(f"{store.root}: holds no report yet; unisid run RECIPE writes one")


def _names(store: Store) -> dict[str, Place]:
    """Name and version -> where a report lies."""
    folder = store.root / "reports"
    places = {
        f"{name}/{version}": folder / name / version
        for name in folder.folders()
        for version in (folder / name).folders()
    }
    return {name: place for name, place in places.items() if place.exists(FILE)}
