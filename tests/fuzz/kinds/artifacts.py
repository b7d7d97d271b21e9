"""Damaged artifacts: bits, lengths, records and names; every reader gives what it gave before, or refuses."""

import functools
import json
import random
import shutil
from pathlib import Path
from typing import Any

from tests.fuzz import store as small
from tests.fuzz.outcomes import BreachError, Refused, command, outcome
from unisid.artifacts.store import Place, Store

IN_CI = 80
SHARE = 20
ODD: tuple[Any, ...] = (
    None,
    0,
    -1,
    1,
    3,
    10**12,
    1.5,
    True,
    "",
    "x",
    "codes/small/1",
    "../../x",
    [],
    {},
    [0],
    [-1, 2],
    {"a": 1},
    float("nan"),
    "\x1b[31m",
    "é",
    "0" * 64,
    [[]],
)
COMMANDS = (
    ["sid", "item 1", "--codes", "codes/ring/1"],
    ["items", "--limit", "3", "--codes", "codes/ring/1"],
    ["recommend", "--user", "3", "--k", "3", "--model", "model/ring/1"],
    ["recommend", "--history", "item 1", "item 2", "--k", "3", "--model", "model/ring/1"],
    ["show", "codes/ring/1"],
    ["show", "model/t/1"],
    ["show", "metrics/t/1", "--json"],
    ["list"],
    ["verify"],
    ["verify", "codes/t/1"],
)
STATES = ("list", "show", "verify")
"""Commands that say what state an artifact is in; the others answer from what is in it."""


class Ground:
    """A whole store, what its readers and commands say, and a copy of it to damage."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.copy = folder / "whole", folder / "store"
        small.write(Store(Place.of(self.whole)))
        shutil.copytree(self.whole, self.copy)
        store = Store(Place.of(self.copy))
        self.said = {held: repr(small.read(store, *held)) for held in small.HELD}
        self.printed = {tuple(words): self._print(words) for words in COMMANDS}
        if any(code for code, _ in self.printed.values()):
            raise AssertionError(f"the whole store is refused: {self.printed}")

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        shutil.rmtree(self.copy)
        shutil.copytree(self.whole, self.copy)
        noun, name = chance.choice(small.HELD)
        folder = self.copy / noun / name / "1"
        for _ in range(chance.choice([1, 1, 1, 2])):
            act = chance.choice(ACTS)
            try:
                note.append(f"{noun}/{name}: {act.__name__.strip('_')} {act(folder, chance)}")
            except (OSError, ValueError, IndexError, TypeError):
                note.append("nothing is left to damage so")
        answered = False
        for held in sorted({(noun, name), chance.choice(small.HELD)}):
            found = outcome(functools.partial(self._read, *held))
            answered |= held == (noun, name) and not isinstance(found, Refused)
            if not isinstance(found, Refused) and found != self.said[held]:
                raise BreachError(f"{held} reads as {_difference(found, self.said[held])}")
            if isinstance(found, Refused) and found.kind not in ("ArtifactError", "UnreadableError"):
                raise BreachError(f"{held}: {found.kind} for a damaged artifact: {found.message}")
        words = chance.choice(COMMANDS)
        code, printed = self._print(words)
        if code == 0 and words[0] not in STATES and printed != self.printed[tuple(words)][1]:
            raise BreachError(f"unisid {' '.join(words)} prints another answer:\n{printed}")
        return answered

    def _read(self, noun: str, name: str) -> str:
        return repr(small.read(Store(Place.of(self.copy)), noun, name))

    def _print(self, words: list[str]) -> tuple[int, str]:
        said = command([*words, "--store", str(self.copy)])
        return said.code, said.out


def _difference(found: str, wanted: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), 0)
    return f"...{found[max(0, at - 20) : at + 60]}..., not ...{wanted[max(0, at - 20) : at + 60]}..."


def _file(folder: Path, chance: random.Random) -> Path:
    return chance.choice(sorted(path for path in folder.iterdir() if path.is_file()))


def _flipped(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 1, 8])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return path.name


def _cut(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])
    return path.name


def _zeroed(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.choice([1, 4, 64, 4096]))
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    return f"{path.name} {start}:{stop}"


def _longer(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    path.write_bytes(path.read_bytes() + chance.choice([b"\x00", b"\n", b"{}", bytes(100)]))
    return path.name


def _noise(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    path.write_bytes(chance.randbytes(chance.choice([path.stat().st_size, 0, 10])))
    return path.name


def _gone(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    path.unlink()
    return path.name


def _folder_instead(folder: Path, chance: random.Random) -> str:
    path = _file(folder, chance)
    path.unlink()
    path.mkdir()
    return path.name


def _swapped(folder: Path, chance: random.Random) -> str:
    one, other = _file(folder, chance), chance.choice(sorted(folder.parents[2].rglob("*.*")))
    if not other.is_file():
        return "nothing"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    return f"{one.name} with {other.relative_to(folder.parents[2])}"


def _extra(folder: Path, chance: random.Random) -> str:
    one = _file(folder, chance)
    family, _, suffix = one.name.rpartition(".")
    name = chance.choice(
        [
            "notes.txt",
            f"{family[:-1]}7.{suffix}",
            f"{family}x.{suffix}",
            ".hidden",
            f"{family[:-1]}a.{suffix}",
            "states-00001.arrow",
            "items-00001.parquet",
            "items-00009.parquet",
            "curve.parquet",
        ]
    )
    if (folder / name).exists():
        return "nothing"
    (folder / name).write_bytes(one.read_bytes())
    return name


def _lost(folder: Path, chance: random.Random) -> str:
    shutil.rmtree(folder)
    if chance.random() < 0.5:
        folder.write_bytes(b"a file")
    return "all of it"


def _edited(folder: Path, chance: random.Random) -> str:
    """A record with another entry; where its fingerprint is none of it, only its own checks can see that."""
    path = folder / "record.json"
    record = json.loads(path.read_bytes())
    inner, key = record, chance.choice(sorted(record))
    while isinstance(inner[key], dict) and inner[key] and chance.random() < 0.7:
        inner = inner[key]
        key = chance.choice(sorted(inner))
    if chance.random() < 0.25:
        del inner[key]
    else:
        inner[key] = chance.choice(ODD)
    path.write_text(json.dumps(record))
    return f"{key} of the record: {inner.get(key, 'gone')!r}"


def _retyped(folder: Path, chance: random.Random) -> str:
    path = chance.choice([folder / "record.json", _file(folder, chance)])
    text = chance.choice(
        [
            "",
            "null",
            "[]",
            "{}",
            "5",
            '"x"',
            "NaN",
            "[" * 5000,
            '{"a": 1, "a": 2}',
            "\ufeff{}",
            "{'a': 1}",
            '{"address": "\\ud800"}',
        ]
    )
    path.write_text(text)
    return f"{path.name} is {text[:20]!r}"


ACTS = (
    _flipped,
    _flipped,
    _flipped,
    _cut,
    _zeroed,
    _longer,
    _noise,
    _gone,
    _folder_instead,
    _swapped,
    _extra,
    _lost,
    _edited,
    _edited,
    _edited,
    _retyped,
)
