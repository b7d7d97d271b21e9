"""Inputs by kind, seed and number: tried one after the other, each failing one by name."""

import importlib
import json
import pkgutil
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from tests.fuzz import kinds
from tests.fuzz.outcomes import BreachError


class Ground(Protocol):
    """What the inputs of a kind share, made once in an empty folder."""

    def __init__(self, folder: Path) -> None: ...

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        """Make one input and put it to the law; whether it was answered (or else refused).

        What the input is goes into `note`, as it is made. Raises BreachError.
        """
        ...


@dataclass(frozen=True)
class Verdict:
    """What came of one input."""

    kind: str
    seed: int
    number: int
    answered: bool
    breach: str = ""
    note: str = ""


def known() -> dict[str, ModuleType]:
    """The kinds of inputs, by name: the modules in `kinds` that have a Ground."""
    modules = (importlib.import_module(f"{kinds.__name__}.{m.name}") for m in pkgutil.iter_modules(kinds.__path__))
    return {m.__name__.rpartition(".")[2]: m for m in modules if hasattr(m, "Ground")}


def tried(kind: str, seed: int, numbers: range) -> Iterator[Verdict]:
    """Put some inputs of a kind to the law."""
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{kind}-") as folder:
        ground: Ground = known()[kind].Ground(Path(folder))
        for number in numbers:
            note: list[str] = []
            try:
                answered, breach = ground.attempt(random.Random(f"{kind}/{seed}/{number}"), note), ""
            except BreachError as error:
                answered, breach = False, str(error)
            yield Verdict(kind, seed, number, answered, breach, "; ".join(note))


def apart(kind: str, seed: int, count: int) -> list[Verdict]:
    """The verdicts on a kind's inputs, from processes of which each goes on after the input that ended the last."""
    found: list[Verdict] = []
    while len(found) < count:
        words = [sys.executable, "-m", "tests.fuzz", "--seed", str(seed), "--part", f"{kind}:{len(found)}-{count}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found += [Verdict(**json.loads(line)) for line in process.stdout if line.startswith('{"kind"')]
        if process.returncode == 1:
            raise SystemExit(f"{kind}: the generator itself failed after {len(found)} inputs, see above")
        if process.returncode and len(found) < count:
            found.append(Verdict(kind, seed, len(found), False, f"the process ended with {process.returncode}"))
    return found
