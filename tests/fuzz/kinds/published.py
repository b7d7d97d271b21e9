"""Files of published datasets, whole or damaged: the catalog says what they say, or they are refused in words."""

import random
import shutil
from pathlib import Path
from typing import Any

from tests.fuzz.kinds.tables import made_of
from tests.fuzz.outcomes import BreachError, Refused, outcome
from tests.fuzz.shops.odd_files import CHANGES
from tests.fuzz.shops.plain_shop import World, made
from tests.fuzz.shops.releases import RELEASES, Release
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place
from unisid.stages import catalog

IN_CI = 60
SHARE = 10
SIGNS = (
    b"\t",
    b"|",
    b"::",
    b",",
    b'"',
    b"{",
    b"[",
    b"'",
    b"\xff",
    b"\xc3",
    b"\x00",
    b"\x1b[31m",
    b"\r",
    b"\n\n",
    b"NaN",
    b"null",
    b"1e400",
    b"-1",
    b"9" * 20,
    b"[]",
    b"{}",
    b"__import__(1)",
    "\u202e".encode(),
)


class Ground:
    """A folder, emptied for every dataset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "published"

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        world, way = made(chance), chance.choice(RELEASES)
        release = way(world, chance)
        note.append(way.__name__)
        damaged = chance.random() < 0.7 and _damage(release, chance, note)
        for name, data in release.files.items():
            (self.folder / name).write_bytes(data)
        place = Place.of(self.folder / "catalog")
        config = catalog.Config(dataset=release.config(self.folder), protocol="leave-one-out", k_core=0)
        found = outcome(lambda: made_of(config, place))
        if isinstance(found, Refused):
            if read_record(place) is not None:
                raise BreachError("refused, and yet the catalog counts as complete")
            if not damaged and not _is_empty(world, release):
                raise BreachError(f"whole files were refused: {found.message}")
            return False
        if not damaged:
            judge(world, release, Catalog.read(place))
        return True


def judge(world: World, release: Release, read: Catalog) -> None:
    """Raise BreachError where the catalog says something else than the world."""
    sequences = {
        release.user.format(user): [item for group in groups for item in group]
        for user, groups in world.sequences().items()
        if sum(map(len, groups)) >= release.shortest
    }
    wanted: dict[str, Any] = {user: [release.item.format(i) for i in mine] for user, mine in sequences.items()}
    ids = read.item_ids.to_pylist()
    bounds = zip(read.offsets, read.offsets[1:], strict=False)
    mine = ([ids[i] for i in read.item[a:b]] for a, b in bounds)
    found = dict(zip(read.user_ids.to_pylist(), mine, strict=True))
    if found != wanted:
        raise BreachError(f"sequences {found}, should be {wanted}")
    titles = {release.item.format(item): world.text(item)[0] for mine in sequences.values() for item in mine}
    if dict(zip(ids, read.titles.to_pylist(), strict=True)) != titles:
        raise BreachError(f"titles {read.titles.to_pylist()}, should be {titles}")


def _is_empty(world: World, release: Release) -> bool:
    """Whether the files hold no interaction."""
    return all(sum(map(len, groups)) < release.shortest for groups in world.sequences().values())


def _damage(release: Release, chance: random.Random, note: list[str]) -> bool:
    """Change one of the files, or leave it out; always true."""
    name = chance.choice(sorted(release.files))
    data = release.files[name]
    kind = chance.choice(["change", "change", "sign", "sign", "line", "gone"])
    if kind == "change":
        what, change = chance.choice(list(CHANGES.items()))
        release.files[name] = change(data)
    elif kind == "sign":
        what, at = repr(sign := chance.choice(SIGNS)), chance.randrange(len(data) + 1)
        cut = chance.choice([0, 0, 1, 5])
        release.files[name] = data[:at] + sign + data[at + cut :]
    elif kind == "line":
        lines = data.split(b"\n")
        what, place = "a line twice, cut or empty", chance.randrange(len(lines))
        line = lines[place]
        lines[place] = chance.choice([line + b"\n" + line, line[: len(line) // 2], b"", line[::-1]])
        release.files[name] = b"\n".join(lines)
    else:
        what = "not there"
        del release.files[name]
    note.append(f"{name}: {what}")
    return True
