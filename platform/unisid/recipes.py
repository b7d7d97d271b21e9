"""Recipes by name, and their settings from the command line.

A recipe is a function without arguments that returns a whole `Recipe`. The ready ones live in `jobs/recipes`; one's
own is named by file: `my_recipes.py:beauty`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import pairwise

import tyro

from unisid import config as settings
from unisid import named
from unisid.config import PlugIn, at, did_you_mean
from unisid.errors import ConfigError
from unisid.planning import Recipe

FOLDER = "jobs.recipes"


def ready() -> dict[str, Callable[[], Recipe]]:
    """The recipes that come with the repository, by name."""
    return named.ready(FOLDER, Recipe)


def find(name: str) -> Recipe:
    """The recipe of a name, or of a file and function ('my_recipes.py:beauty')."""
    found: Recipe = named.make(name, FOLDER, Recipe, "recipe")
    return found


def configure(
    recipe: Recipe, arguments: list[str], prog: str = "unisid run RECIPE", own: Collection[str] = ()
) -> Recipe:
    """The recipe with `--section.key value` applied; a plug-in takes its kind: `--fused.fusion concat`.

    Args:
        own: a command's own options, which a mistyped word may mean.

    Raises:
        ConfigError: a word is no setting, or its value is wrong.
    """
    base = recipe
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        key, has_value, value = word.removeprefix("--").partition("=")
        name, named = _of_mapping(recipe, key)
        one_word = named or isinstance(at(recipe, name), PlugIn) or settings.parser(recipe, name) is not None
        if word.startswith("--") and one_word:
            recipe = settings.override(recipe, name, value if has_value else next(words, ""))
        else:
            rest.append(word)
    _refuse_unknown(recipe, rest, own)
    options = (tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff)

    def parsed(words: list[str]) -> Recipe:
        return tyro.cli(Recipe, default=recipe, args=words, prog=prog, config=options)

    try:
        return with_note_of(base, parsed(rest))
    except ConfigError as error:
        raise _in_full(error, rest, parsed) from None


def with_note_of(base: Recipe, recipe: Recipe) -> Recipe:
    """The recipe without its base's note where it reads another dataset than its base: the note is about that one."""
    before, after = base.catalog.dataset, recipe.catalog.dataset
    same = (before.kind, getattr(before, "name", "")) == (after.kind, getattr(after, "name", ""))
    return recipe if same or recipe.note != base.note else replace(recipe, note="")


def _of_mapping(recipe: Recipe, key: str) -> tuple[str, bool]:
    """The dotted name of a setting that a word names, and whether it is an entry of a mapping, perhaps a new one.

    What follows the name of a mapping from names to numbers is the entry's own name, with its dots and dashes.
    """
    name = key.replace("-", "_")
    for place in (place for place, letter in enumerate(name) if letter == "."):
        if settings.is_of_numbers(recipe, name[:place]):
            return name[:place] + key[place:], True
    return name, isinstance(at(recipe, name.rpartition(".")[0]), Mapping)


def _in_full(error: ConfigError, words: list[str], parsed: Callable[[list[str]], Recipe]) -> ConfigError:
    """The error with the whole name of the setting that raises it alone, where one does."""
    starts = [place for place, word in enumerate(words) if word.startswith("--")]
    for start, stop in pairwise([*starts, len(words)]):
        key = words[start].removeprefix("--").partition("=")[0].replace("-", "_")
        try:
            parsed(words[start:stop])
        except ConfigError as alone:
            if str(alone) == str(error):
                return settings.in_full(error, key)
    return error


def _refuse_unknown(recipe: Recipe, words: list[str], own: Collection[str]) -> None:
    known = {key for key, _ in settings.leaves(recipe)}
    for word in words:
        key = word.removeprefix("--").partition("=")[0].replace("-", "_")
        if word.startswith("--") and word != "--help" and key not in known:
            raise ConfigError(f"recipe '{recipe.name}': no setting '--{key}'{did_you_mean(key, [*known, *own])}")
