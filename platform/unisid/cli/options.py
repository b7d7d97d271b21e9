"""Kinds of options that several commands have."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar

from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

from unisid.errors import ConfigError

T = TypeVar("T")

Machines = Literal["ray", "local"]
"""Where the work is done."""


def shown(metavar: str, default: str = "") -> Any:
    """How a number or a file may be left out: what stands for it in help, and what it is then."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})" if default else "")


def text(metavar: str, default: str = "") -> Any:
    """The same for text, which is never read as Python's None."""
    return arg(constructor=str, metavar=metavar, help_behavior_hint=f"(default: {default})" if default else "")


Address = Annotated[str | None, text("ADDRESS")]
"""An artifact's address, or nothing."""
Name = Annotated[str | None, text("NAME", "what was promoted last")]
"""What a pair is promoted under, or nothing."""
UNSAID = arg(help_behavior_hint="")
"""For what needs no word on its default."""
Flag = Annotated[bool, UNSAID]
"""Whether a word is there."""


def several(read: Callable[[str], T], metavar: str) -> PrimitiveConstructorSpec[tuple[T, ...]]:
    """One or more words, each read alone."""

    def read_all(words: list[str]) -> tuple[T, ...]:
        if not words:
            raise ValueError(f"no {metavar} is given; give one or more")
        return tuple(read(word) for word in words)

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{metavar} [{metavar} ...]",
        instance_from_str=read_all,
        is_instance=lambda found: isinstance(found, tuple),
        str_from_instance=lambda found: [str(each) for each in found],
    )


def count(word: str) -> int:
    """A number from 1 up; raises ValueError for another word."""
    if not word.isdecimal() or int(word) < 1:
        raise ValueError(f"{word}: must be a number from 1 up")
    return int(word)


def at_most_one(metavar: str) -> PrimitiveConstructorSpec[str]:
    """A positional word that may be left out, and is then empty.

    Not a plain `str` with a default: before an option that tyro does not know, that is read as "[]".
    """

    def read(words: list[str]) -> str:
        if len(words) > 1:
            raise ValueError(f"{' '.join(words)} are {len(words)} words; must be one {metavar}")
        return words[0] if words else ""

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda found: isinstance(found, str),
        str_from_instance=lambda found: [found] if found else [],
    )


def one_of(choices: Iterable[str]) -> PrimitiveConstructorSpec[str]:
    """A word of those that are computed when the program starts, or of a few; where it may be left out, None is no
    word for that."""
    known = tuple(choices)
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(known) + "}",
        instance_from_str=lambda words: words[0],
        is_instance=lambda found: found is None or isinstance(found, str),
        str_from_instance=lambda found: [found],
        choices=known,
    )


def named(words: Iterable[str], option: str) -> list[tuple[str, str]]:
    """NAME=VALUE pairs; raises ConfigError for a word that is none, or for a name that is given twice."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option}: '{word}' must be NAME=VALUE, such as mine=lists.parquet")
        if name in found:
            raise ConfigError(f"{option}: '{name}' is given twice; give each a name of its own")
        found[name] = value
    return list(found.items())
