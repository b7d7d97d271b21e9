"""Commands that take a recipe and settings of it."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from unisid.cli.options import UNSAID, at_most_one
from unisid.cli.session import Configured
from unisid.console import styled
from unisid.errors import DataError

if TYPE_CHECKING:
    from unisid.planning import Recipe

    Configure = Callable[..., Recipe]


@dataclass(frozen=True, kw_only=True)
class RecipeCommand(Configured):
    """A command about one recipe."""

    recipe: Annotated[Positional[str], at_most_one("RECIPE"), UNSAID] = ""
    """a ready recipe's name, or file.py:function; settings follow as --section.key value"""

    def configured(self) -> Recipe:
        """The recipe with its settings applied.

        Raises:
            DataError: none is named, or it is not known.
            ConfigError: a setting is wrong.
        """
        return configured(self, self.recipe)

    def show_settings(self, prog: str) -> None:
        if self.recipe:
            show_settings(self.recipe, prog)


def configured(command: Configured, name: str, configure: Configure | None = None) -> Recipe:
    """The recipe of a name with a command's settings applied; `configure` applies them, as `recipes.configure`."""
    from unisid import recipes

    if not name:
        given = f", which stands before its settings ({' '.join(command.settings)})" if command.settings else ""
        raise DataError(f"unisid: which recipe{given}? known: {', '.join(sorted(recipes.ready()))}")
    found = recipes.find(name)
    with styled():
        return (configure or recipes.configure)(found, list(command.settings), own=options(command))


def show_settings(name: str, prog: str, configure: Configure | None = None) -> None:
    """Print the settings of a recipe, and leave."""
    from unisid import recipes

    found = recipes.find(name)
    with styled():
        (configure or recipes.configure)(found, ["--help"], prog=f"{prog} {name}")


def options(command: Configured) -> list[str]:
    """The names of a command's own options, as typed without '--'."""
    own = [field.name for part in (command, command.session) for field in fields(part)]
    return [name.replace("_", "-") for name in own if name not in ("session", "settings", "recipe")]


def word_of(words: Sequence[str], key: str) -> str:
    """The value of the last `--key value` or `--key=value` among words; empty for none."""
    found = ""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        name, equals, value = word.partition("=")
        if name == f"--{key}":
            found = value if equals else following
    return found
