"""What a run does after its last artifact: write the report, and hand it with the models to the tracker.

What was done is noted beside the report, `.published.json`, last of all: a run that was ended before does it next time.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from unisid.artifacts.draft import sweep
from unisid.artifacts.store import Place
from unisid.config import fingerprint
from unisid.runtime.tracking_place import sqlite_file

NOTE = ".published.json"


class Registrar(Protocol):
    """Where reports and models are registered."""

    @property
    def uri(self) -> str:
        """Which tracker it is; empty for none."""
        ...

    @property
    def trouble(self) -> str:
        """Why something was not written down; empty where all of it was."""
        ...

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None:
        """Register a report and the models of some places."""
        ...


@dataclass(frozen=True)
class Published:
    """What was published beside one report."""

    artifacts: dict[str, str] = field(default_factory=dict)
    """Noun -> fingerprint."""
    files: dict[str, int] = field(default_factory=dict)
    """The report's files and their sizes."""
    trackers: dict[str, bool] = field(default_factory=dict)
    """Tracker -> whether it has the report and the models, or `unisid sync` is to do it."""

    def lacks(self, artifacts: Mapping[str, str], folder: Place, tracker: Registrar) -> bool:
        """Whether anything of these artifacts is still to be published."""
        return (
            any(self.artifacts.get(noun) != each for noun, each in artifacts.items())
            or not self.files.items() <= folder.sizes().items()
            or not {*_key(tracker, folder)} <= self.trackers.keys()
        )

    def waits_for_sync(self, folder: Place, tracker: Registrar) -> bool:
        """Whether the tracker could not be reached when this was published."""
        return any(not self.trackers.get(key, True) for key in _key(tracker, folder))


def published(folder: Place) -> Published:
    """Read the note beside a report of what was published; empty where it is missing or damaged."""
    try:
        found = Published(**json.loads(folder.read(NOTE))) if folder.exists(NOTE) else Published()
        return found if all(isinstance(each, dict) for each in asdict(found).values()) else Published()
    except (ValueError, TypeError):
        return Published()


def publish(
    name: str, note: str, artifacts: Mapping[str, str], places: Mapping[str, Place], folder: Place, tracker: Registrar
) -> Published:
    """Write the report of what is there, and hand it with the models to the tracker; returns what is to be kept of it.

    Args:
        artifacts: noun -> fingerprint of what lies at the places.
    """
    from unisid.report.html import write_report  # with Altair: not where a recipe is only planned

    before = published(folder)
    if folder.exists(NOTE):
        folder.remove(NOTE)
    sweep(folder)
    write_report(places, folder, note=note)
    tracker.publish(name, places, folder)
    kept = before.trackers if before.artifacts == artifacts else {}
    trackers = kept | dict.fromkeys(_key(tracker, folder), not tracker.trouble)
    return Published(dict(artifacts), folder.sizes(), trackers)


def keep(folder: Place, done: Published) -> None:
    """Note what was published."""
    folder.write(NOTE, (json.dumps(asdict(done), indent=2, sort_keys=True) + "\n").encode())


def _key(tracker: Registrar, folder: Place) -> list[str]:
    """The name under which a tracker is noted: a database of the store by its place there, for both may be moved; any
    other by its URI's fingerprint, for a URI may hold a password."""
    if not tracker.uri:
        return []
    file, root = sqlite_file(tracker.uri), Path(folder.parent.parent.parent.filesystem[1])
    if file is not None and folder.is_local and file.is_relative_to(root):
        return [str(file.relative_to(root))]
    return [fingerprint({"tracker": tracker.uri})[:12]]
