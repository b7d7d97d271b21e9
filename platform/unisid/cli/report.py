"""`unisid report`: where the report of a run lies, opened in a browser."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from unisid.cli.options import UNSAID, Flag, at_most_one
from unisid.cli.session import Command
from unisid.config import did_you_mean, json_text
from unisid.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from unisid.artifacts.store import Place, Store

FILE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Print where a run's report lies, or open it."""

    name: Annotated[Positional[str], at_most_one("NAME"), UNSAID] = ""
    """such as demo or demo/2; nothing for that of the newest artifacts"""
    open: Flag = False
    """open it in a browser"""
    json: Flag = False
    """print JSON instead of a line"""

    def act(self) -> None:
        import webbrowser

        store = self.session.opened
        place = _found(store, self.name) if self.name else _newest(store)
        print(json_text({"report": str(place / FILE)}) if self.json else place / FILE)
        if self.open:
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
    from unisid.artifacts.lookup import newest_of
    from unisid.artifacts.nouns import NOUNS

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
