"""What may be typed: every command with its words, read from the commands' dataclasses."""

import ast
import inspect
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

import tyro

from unisid.cli.commands import every


@dataclass(frozen=True)
class Word:
    """An option or a positional word of a command."""

    name: str
    is_positional: bool
    is_flag: bool
    is_number: bool
    choices: tuple[str, ...]


def commands() -> dict[str, list[Word]]:
    """The words of every command, by its name."""
    return {name: list(words_of(kind)) for name, kind in every()}


def words_of(kind: type) -> Iterator[Word]:
    """The words of a command."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from words_of(hint)
        elif field.name != "settings":
            yield _word(field.name, hint)


def unexplained(kind: type) -> list[str]:
    """The fields of a command that no text follows."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    hints = typing.get_type_hints(kind)
    return [
        field.target.id
        for field, after in zip(body.body, [*body.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and not is_dataclass(hints[field.target.id])
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]


def _word(name: str, hint: object) -> Word:
    extras = getattr(hint, "__metadata__", ())
    found = set(_plain(hint))
    renamed = [each.name for each in extras if isinstance(getattr(each, "name", None), str) and each.name]
    literals = [each for each in _plain(hint) if typing.get_origin(each) is typing.Literal]
    choices = [choice for each in literals for choice in typing.get_args(each)]
    choices += [choice for each in extras for choice in getattr(each, "choices", None) or ()]
    return Word(
        name=renamed[0] if renamed else name,
        is_positional=tyro.conf.Positional in extras,
        is_flag=bool in found,
        is_number=bool({int, float} & found),
        choices=tuple(choices),
    )


def _plain(hint: object) -> Iterator[object]:
    """The types that a hint is made of."""
    yield hint
    if typing.get_origin(hint) is not typing.Literal:
        for argument in typing.get_args(hint):
            if not isinstance(argument, tuple):
                yield from _plain(argument)
