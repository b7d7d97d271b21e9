"""Settings of every dataclass under a recipe: as constructor arguments, overrides, command-line words and records.

A configuration that is accepted holds values of its fields' types, has a fingerprint and survives its own record.
"""

import contextlib
import dataclasses
import io
import json
import math
import random
import types
import typing
from pathlib import Path
from typing import Any

from tests.fuzz.outcomes import BreachError, Refused, outcome
from unisid import config as settings
from unisid import recipes
from unisid.config import at, fingerprint, from_record, override, plug_in, plug_ins, to_record
from unisid.planning import Recipe

IN_CI = 300
SHARE = 25
FOLDERS = ("backbones", "baselines", "datasets", "encoders", "fusion", "graphs", "tasks", "tokenizers")
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    7,
    10**6,
    10**30,
    -(10**30),
    2**63,
    0.0,
    -0.0,
    0.5,
    1.0,
    1e-300,
    1e300,
    2.5,
    -0.1,
    math.nan,
    math.inf,
    -math.inf,
    "",
    " ",
    "0",
    "1",
    "3.0",
    "-1",
    "nan",
    "inf",
    "1e3",
    "1_000",
    "٣",
    "None",
    "none",
    "True",
    "true",
    "yes",
    "[]",
    "()",
    "{}",
    "a b",
    "é",
    "\x00",
    "\x1b[31mred",
    "line\nbreak",
    "\ud800",
    "x" * 5000,
    "rqvae",
    "tiger",
    "single",
    "synthetic",
    "2016-10",
    "2016-13",
    "9999-12-31",
    "0001-01-01",
    "../..",
    "/",
    "--",
    (),
    (1,),
    (0,),
    (-1, 2),
    ("a",),
    ("a", "a"),
    (1.5,),
    (None,),
    ((1,),),
    [],
    [1, 2],
    [None],
    [[]],
    {},
    {"a": 1},
    {"kind": "rqvae"},
    {"kind": None},
    {"kind": 5},
    {1: 2},
    b"bytes",
    1j,
    object,
    {1, 2},
    range(3),
    Path("x"),
)
WORDS = (
    *(v for v in VALUES if isinstance(v, str) and "\x00" not in v),
    "0",
    "-5",
    "1.5",
    "nan",
    "1e400",
    "99999999999999999999999",
    "1,2",
    "0x10",
    "+3",
    "３",
)


class Ground:
    """All the classes of settings, and the ready recipes as trees to change."""

    def __init__(self, folder: Path) -> None:
        self.classes = sorted(_reachable(), key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
        self.recipes = {name: make() for name, make in sorted(recipes.ready().items())}

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        way = chance.choice([self._constructed, self._overridden, self._on_the_command_line, self._recorded])
        note.append(way.__name__.strip("_"))
        found = outcome(lambda: way(chance, note))
        if not isinstance(found, Refused):
            judge(found)
        return not isinstance(found, Refused)

    def _constructed(self, chance: random.Random, note: list[str]) -> Any:
        cls = chance.choice(self.classes)
        names = [field.name for field in dataclasses.fields(cls)]
        given = {name: chance.choice(VALUES) for name in chance.sample(names, min(len(names), chance.randint(1, 3)))}
        for field in dataclasses.fields(cls):  # one left out is Python's own complaint
            if field.default is field.default_factory is dataclasses.MISSING:
                given.setdefault(field.name, chance.choice(VALUES))
        note.append(f"{cls.__module__}.{cls.__qualname__}(**{given!r})"[:400])
        return cls(**given)

    def _overridden(self, chance: random.Random, note: list[str]) -> Any:
        name, recipe = chance.choice(list(self.recipes.items()))
        key = _spoilt(chance.choice([key for key, _ in settings.leaves(recipe)]), chance)
        value = chance.choice(VALUES)
        note.append(f"override({name}, {key!r}, {value!r})"[:400])
        found = override(recipe, key, value)
        if not _is_same(value, at(found, key)):
            raise BreachError(f"{value!r} became {at(found, key)!r:.200}")
        return found

    def _on_the_command_line(self, chance: random.Random, note: list[str]) -> Any:
        name, recipe = chance.choice(list(self.recipes.items()))
        keys = [key for key, _ in settings.leaves(recipe)]
        words: list[str] = []
        for _ in range(chance.randint(1, 2)):
            key, value = _spoilt(chance.choice(keys), chance), chance.choice(WORDS)
            words += chance.choice([[f"--{key}", value], [f"--{key}={value}"], [f"--{key}"], [key, value]])
        note.append(f"configure({name}, {words!r})"[:400])
        complaint = io.StringIO()
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(complaint):
            try:
                return recipes.configure(recipe, words)
            except SystemExit as stop:  # as the words of a command line may end
                if stop.code not in (0, 2) or not complaint.getvalue().strip():
                    raise BreachError(f"exit code {stop.code}, said: {complaint.getvalue()!r}") from None
                return Refused("SystemExit", complaint.getvalue())

    def _recorded(self, chance: random.Random, note: list[str]) -> Any:
        name, recipe = chance.choice(list(self.recipes.items()))
        record = json.loads(json.dumps(to_record(recipe)))
        note += [f"record of {name}: {_edit(record, chance)}"[:400] for _ in range(chance.randint(1, 2))]
        return from_record(Recipe, record)


def judge(config: Any) -> None:
    """Raise BreachError where an accepted configuration is not what its fields say."""
    check_types(config, type(config).__qualname__)
    record = outcome(lambda: to_record(config))
    if isinstance(record, Refused):
        raise BreachError(f"accepted, but its record is refused: {record.message}")
    outcome(lambda: fingerprint(to_record(config, identity=True)))
    again = outcome(lambda: from_record(type(config), json.loads(json.dumps(record))))
    if again != config:
        raise BreachError(f"accepted, but its record reads as {again!r:.300}, not {config!r:.300}")


def check_types(config: Any, where: str) -> None:
    """Raise BreachError where a field holds what its annotation does not allow."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not _fits(hints[field.name], value):
            raise BreachError(f"{where}.{field.name} took {value!r:.100}, which is no {hints[field.name]}")
        if dataclasses.is_dataclass(value):
            check_types(value, f"{where}.{field.name}")


def _fits(hint: Any, value: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(arg, value) for arg in args)
    if origin is typing.Literal:
        return any(value == arg and type(value) is type(arg) for arg in args)
    if origin is tuple:
        inner = args[0] if args[-1] is Ellipsis or len(args) == 1 else None
        return isinstance(value, tuple) and (inner is None or all(_fits(inner, one) for one in value))
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if hint in (int, str, bool):
        return type(value) is hint
    return isinstance(value, hint) if isinstance(hint, type) else True


def _is_same(given: Any, held: Any) -> bool:
    """Whether a setting holds what was given, perhaps as text."""
    if isinstance(given, str) and not isinstance(held, str):
        if dataclasses.is_dataclass(held):
            return getattr(held, "kind", None) == given
        return str(held) == given or str(held).lower() == given or float(held) == float(given)
    if isinstance(given, (list, tuple)):
        return tuple(given) == held
    return bool(given == held) if not isinstance(given, dict) else dataclasses.is_dataclass(held)


def _reachable() -> set[type]:
    """Every dataclass of settings: the recipe's, those inside, those of all plug-ins."""
    todo: list[Any] = [Recipe, *(plug_in(f, kind) for f in FOLDERS for kind in plug_ins(f))]
    found: set[type] = set()
    while todo:
        cls = todo.pop()
        args = typing.get_args(cls)
        if args:
            todo += args
        elif dataclasses.is_dataclass(cls) and isinstance(cls, type) and cls not in found:
            found.add(cls)
            todo += typing.get_type_hints(cls).values()
    return found


def _spoilt(key: str, chance: random.Random) -> str:
    if chance.random() < 0.8:
        return key
    parts = key.split(".")
    return chance.choice(
        [
            key + "x",
            key[:-1],
            ".".join(parts[:-1]),
            key + ".more",
            "." + key,
            key.upper(),
            "",
            "..",
            ".".join([*parts[:-1], "kind"]),
            parts[0],
        ]
    )


def _edit(record: Any, chance: random.Random) -> str:
    """Change one entry of a record, at any depth; says what was done."""
    path: list[str] = []
    while True:
        name = chance.choice(sorted(record))
        path.append(name)
        if isinstance(record[name], dict) and record[name] and chance.random() < 0.85:
            record = record[name]
            continue
        act = chance.choice(["set", "set", "set", "drop", "rename", "add"])
        value = chance.choice([v for v in VALUES if isinstance(v, (int, float, str, list, dict, type(None)))])
        if act == "set":
            record[name] = value
        elif act == "rename":
            record[name + "s"] = record.pop(name)
        elif act == "drop":
            del record[name]
        else:
            record[name + "_new"] = value
        return f"{act} {'.'.join(path)} {value!r}"
