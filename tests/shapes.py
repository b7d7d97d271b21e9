"""Shapes checked while tests run: of arrays and tensors alone, whatever else a function takes."""

import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray

PACKAGE = Path(__file__).parents[1] / "platform" / "unisid"
WRITTEN = re.compile(r"\b(Bool|Num|Shaped|(U?Int|Float)\d*)\[")


def modules() -> list[str]:
    """Every module that writes shapes in its signatures, by its dotted name."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if "from jaxtyping import" in path.read_text())
    dotted = (".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in dotted]


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that compares the shapes it is given, as jaxtyping makes one for each signature."""
    if isinstance(function, type):
        return function
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if holds_shape(hint)}
    return beartype(function) if function.__annotations__ else function


def holds_shape(hint: object) -> bool:
    """Whether a type is that of an array of some shape, or holds such."""
    if isinstance(hint, str):
        return WRITTEN.search(hint) is not None
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(holds_shape(each) for each in typing.get_args(hint) if typing.get_origin(hint) is not typing.Literal)
