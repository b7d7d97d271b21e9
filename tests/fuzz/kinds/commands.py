"""Command lines of random words: exit code 0, 1 or 2, one message, no traceback. No machine is started."""

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.fuzz import store as small
from tests.fuzz.outcomes import SECONDS, command
from tests.words import Word, commands
from unisid import pipeline
from unisid.artifacts.store import NOUNS, Place, Store
from unisid.cli.session import Session
from unisid.errors import ConfigError

IN_CI = 120
SHARE = 15
WORDS = (
    "",
    " ",
    "-",
    "--",
    "-x",
    "-h",
    "--help",
    "0",
    "1",
    "-1",
    "3",
    "1e9",
    "99999999999999999999",
    "nan",
    "x",
    "item 1",
    "item 99",
    "3,1",
    "<a_1>",
    "<a_1><b_2><c_0>",
    "<a_1",
    "a_1",
    "1,2,3,4,5,6",
    "9,9",
    "-5,1",
    "demo",
    "demos",
    "file.py",
    "file.py:x",
    ":",
    "codes",
    "codes/ring/1",
    "codes/ring",
    "codes/ring/2",
    "model/ring/1",
    "catalog/ring/1",
    "metrics/t/1",
    "codes//1",
    "/codes/ring/1/",
    "codes/../1",
    "codes/ring/1/1",
    "nouns/ring/1",
    "codes/a b/1",
    "codes/\x1b[31m/1",
    "é",
    "名",
    "\ud800",
    "\x1b]0;x\x07",
    "line\nbreak",
    "x" * 3000,
    "ring",
    "catalog",
    "metrics",
    "None",
    "s3://",
    "s3://bucket-without-rights?region=x",
    "memory://x",
    "nope://x",
    "file://",
    "file:///tmp/none",
    "/dev/null",
    "~",
    "a#b",
    "a%20b",
    "what?",
    "--store",
    "--k=0",
    "--k",
    "--limit=-1",
    "--user=3",
    "--json",
    "--catalog.k-core",
    "@file",
    "catalog.k_core=1,2",
    "codes.tokenizer.codebook_size=8,16",
    "=",
    "=,",
    "index",
    "ndcg",
    "loss",
    "0.5",
)


class Ground:
    """A small whole store, and the command line's own words."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.whole, self.store = folder, folder / "whole", folder / "store"
        small.write(Store(Place.of(self.whole)))
        shutil.copytree(self.whole, self.store)
        self.commands = {tuple(name.split()): words for name, words in commands().items()}

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        words = self._line(chance)
        note.append(repr(words)[:500])
        if any((self.store / noun).exists() != (self.whole / noun).exists() for noun in NOUNS) or "drop" in words:
            shutil.copytree(self.whole, self.store, dirs_exist_ok=True)
        with _here(self.folder), without_machines(), mock.patch.dict(os.environ, {"UNISID_STORE": str(self.store)}):
            slow = "promote" in words  # MLflow makes its database
            return command(words, seconds=300 if slow else SECONDS).code == 0

    def _line(self, chance: random.Random) -> list[str]:
        if chance.random() < 0.05:
            return [chance.choice(WORDS) for _ in range(chance.randint(0, 4))]
        names = [names for names in sorted(self.commands) if names[0] != "promote" or chance.random() < 0.1]
        chosen = chance.choice(names)
        words = list(chosen)
        for word in self.commands[chosen]:
            if word.is_positional:
                words += [_value(word, chance) for _ in range(chance.choice([0, 1, 1, 1, 1, 2]))]
        options = [word for word in self.commands[chosen] if not word.is_positional]
        for word in chance.sample(options, min(len(options), chance.choice([0, 1, 1, 2, 3]))):
            words.append("--" + word.name.replace("_", chance.choice("-_")))
            if not word.is_flag and chance.random() < 0.95:
                words.append(_value(word, chance))
        if chance.random() < 0.1:
            words.insert(chance.randrange(len(words) + 1), chance.choice(WORDS))
        return words


@contextlib.contextmanager
def without_machines() -> Iterator[None]:
    """Inside, whatever would start machines or MLflow is refused."""

    @contextlib.contextmanager
    def none(*_: object) -> Iterator[None]:
        raise ConfigError("machines: none are lent to a trial of words; this is as far as it goes")
        yield

    with (
        mock.patch.object(Session, "machines", none),
        mock.patch.object(Session, "tracker", return_value=pipeline.NullTracker()),
    ):
        yield


@contextlib.contextmanager
def _here(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _value(word: Word, chance: random.Random) -> str:
    if word.choices and chance.random() < 0.8:
        return chance.choice(sorted(word.choices))
    if word.is_number and chance.random() < 0.7:
        return str(chance.choice([0, 1, 2, 5, 20, 21, -1, 10**12]))
    fitting = {
        "item": ["item 1", "item 5"],
        "address": ["codes/ring/1", "model/ring/1", "metrics/t/1"],
        "user": ["3", "0"],
        "history": ["item 1"],
        "codes": ["codes/ring/1"],
        "model": ["model/ring/1"],
        "recipe": ["demo"],
        "left": ["codes/ring/1"],
        "right": ["codes/ring/1"],
        "sid": ["1", "<a_1>"],
    }
    known = fitting.get(word.name, [])
    return chance.choice(known) if known and chance.random() < 0.6 else chance.choice(WORDS)
