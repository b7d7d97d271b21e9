"""Ranges of settings, declared in the field's type and checked whenever settings are made: `epochs: Count = 100`.

Derive settings from `Settings` (a plug-in's derive from it already), and give every number one of the types below. A
class that checks more in its own `__post_init__` calls this one's first.
"""

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from unisid.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most`; `above` and `below` leave out the ends themselves."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def allows(self, value: Any) -> bool:
        """Whether a number lies in it; NaN lies nowhere."""
        low = value > self.least if self.above else value >= self.least
        return bool(low and (value < self.most if self.below else value <= self.most))

    def __str__(self) -> str:
        low = f"above {self.least:,.12g}" if self.above else f"at least {self.least:,.12g}"
        return f"{low} and {'below' if self.below else 'at most'} {self.most:,.12g}"


@dataclass(frozen=True)
class Spelling:
    """Texts that match a pattern, which `words` describe."""

    pattern: str
    words: str

    def allows(self, value: Any) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words


MANY, LARGE = (1 << 31) - 1, 1e30
"""The largest count and the largest real number that a setting may be."""
Count = Annotated[int, Range(1, MANY)]
"""How many, at least one."""
CountOrNone = Annotated[int, Range(0, MANY)]
"""How many, or 0 for none, or for what the setting says 0 stands for."""
Width = Annotated[int, Range(1, 1 << 20)]
"""How wide a vector or a layer is."""
Layers = Annotated[int, Range(1, 1024)]
"""How many layers, heads or levels."""
Seed = Annotated[int, Range(0, (1 << 32) - 1)]
"""What every random generator in use accepts."""
Positive = Annotated[float, Range(0, LARGE, above=True)]
"""A real number above 0."""
NotNegative = Annotated[float, Range(0, LARGE)]
"""A real number from 0."""
Share = Annotated[float, Range(0, 1)]
"""A share of a whole."""
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
"""A share that leaves something: dropout."""
Name = Annotated[
    str,
    Spelling(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "1 to 100 letters, digits, '.', '_' or '-', the first a letter or a digit"
    ),
]
"""A part of file names and addresses."""
Kind = Annotated[str, Spelling(r"(\S|\S.{0,198}\S)?", "at most 200 characters on one line, without blanks at the ends")]
"""A kind of event, as the data have it; empty where they have none."""

NAME = Spelling(r"[a-z][a-z0-9_]{0,49}", "1 to 50 small letters, digits or '_', the first a letter")
"""What the names in a mapping of settings must be, as they are parts of dotted keys, unless its type says otherwise."""
WORDS = {bool: "True or False", int: "an integer", float: "a number", str: "a text"}


class Settings:
    """Base of all settings: frozen dataclasses whose fields are of their type and in its range.

    Raises:
        ConfigError: from the constructor, for a field that is not; it names the field, the value and what may be.
    """

    where: ClassVar[str] = ""
    """What errors call these settings; by default the module of a `Config`, or the class."""

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, hint in _fields(cls):
            _check(hint, getattr(self, name), f"{cls.where or _called(cls)}.{name}")

    def fits(self, num_items: int) -> None:
        """Raise ConfigError where these settings need more than a catalogue of so many items has."""

    def fits_history(self, length: int) -> None:
        """Raise ConfigError where these settings cannot read histories of so many items."""

    def check_tools(self) -> None:
        """Raise ConfigError where what these settings name beside artifacts, such as a pretrained model, cannot be used
        as they say. Called before anything is made; it may take seconds."""


@functools.cache
def _fields(cls: Any) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(cls)]


def _called(cls: Any) -> str:
    module = cls.__module__.rpartition(".")[2]
    return module if cls.__name__ == "Config" else cls.__name__.lower()


def _check(hint: Any, value: Any, where: str, bounds: tuple[Any, ...] = ()) -> None:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        _check(args[0], value, where, args[1:])
    elif origin in (typing.Union, types.UnionType):
        if value is not None or type(None) not in args:
            _check(next(a for a in args if a is not type(None)), value, where, bounds)
    elif origin is tuple:
        _check_several(args[0], value, where)
    elif origin is Mapping:
        _check_named(args, value, where)
    elif origin is typing.Literal:
        if not any(value == a and type(value) is type(a) for a in args):
            raise ConfigError(f"{where}: is {value!r:.80}; must be one of {', '.join(map(str, args))}")
    else:
        _check_value(hint, value, where, [bound for bound in bounds if isinstance(bound, Range | Spelling)])


def _check_several(hint: Any, value: Any, where: str) -> None:
    if not isinstance(value, tuple | list):
        raise ConfigError(f"{where}: is {value!r:.80}; must be a tuple, such as ({value!r:.40},)")
    for entry in value:
        _check(hint, entry, where)


def _check_named(args: tuple[Any, Any], value: Any, where: str) -> None:
    """Refuse what is no mapping from names, whose type may have a spelling of its own, to values of a type."""
    spelling = typing.get_args(args[0])[1] if typing.get_origin(args[0]) is Annotated else NAME
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: is {value!r:.80}; must be values by name, such as {{'image': ...}}")
    for name, entry in value.items():
        if not (isinstance(name, str) and spelling.allows(name)):
            raise ConfigError(f"{where}: has the name {name!r:.80}; must be {spelling}")
        _check(args[1], entry, f"{where}.{name}")


def _check_value(hint: Any, value: Any, where: str, bounds: list[Range | Spelling]) -> None:
    if not isinstance(hint, type):
        return
    if not _is_of(hint, value):
        right = WORDS.get(hint) or f"settings of the kind {hint.__module__}.{hint.__qualname__}"
        raise ConfigError(f"{where}: is {value!r:.80}; must be {' '.join([right, *map(str, bounds)])}")
    if bounds and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: is {value}; must be a finite number {' '.join(map(str, bounds))}".rstrip())
    if not all(bound.allows(value) for bound in bounds):
        raise ConfigError(f"{where}: is {value!r:.80}; must be {' '.join(map(str, bounds))}")


def _is_of(hint: type[Any], value: Any) -> bool:
    """Whether a value is of a type; an integer is a real number too, and a bool is neither."""
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
