"""Recipes by name, and their settings from the command line.

A recipe is a function without arguments that returns a whole `Recipe`. The ready ones live in `jobs/recipes`; one's
own is named by file: `my_recipes.py:beauty`.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from unisid import config as settings
from unisid.config import PlugIn, did_you_mean
from unisid.errors import ConfigError
from unisid.pipeline import Recipe


def ready() -> dict[str, Callable[[], Recipe]]:
    """The recipes that come with the repository, by name."""
    try:
        folder = importlib.import_module("jobs.recipes")
    except ModuleNotFoundError:
        return {}
    found: dict[str, Callable[[], Recipe]] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        found |= _recipes_of(importlib.import_module(f"jobs.recipes.{module.name}"))
    return found


def find(name: str) -> Recipe:
    """The recipe of a name, or of a file and function ('my_recipes.py:beauty')."""
    path, _, function = name.partition(":")
    known = _recipes_of(_load(Path(path))) if path.endswith(".py") else ready()
    wanted = function if path.endswith(".py") else name
    if wanted not in known:
        raise ConfigError(
            f"recipe '{name}': not known{did_you_mean(wanted, known)}; known: {', '.join(sorted(known)) or 'none'}; "
            "or give a file and a function: my_recipes.py:beauty"
        )
    return known[wanted]()


def configure(recipe: Recipe, arguments: list[str], prog: str = "unisid run RECIPE") -> Recipe:
    """The recipe with `--section.key value` applied; a plug-in takes its kind: `--fused.fusion concat`."""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        key, has_value, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and isinstance(_at(recipe, key.replace("-", "_")), PlugIn):
            recipe = settings.override(recipe, key.replace("-", "_"), value if has_value else next(words, ""))
        else:
            rest.append(word)
    _refuse_unknown(recipe, rest)
    options = (tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff)
    return tyro.cli(Recipe, default=recipe, args=rest, prog=prog, config=options)


def _refuse_unknown(recipe: Recipe, words: list[str]) -> None:
    known = {key for key, _ in settings.leaves(recipe)}
    for word in words:
        key = word.removeprefix("--").partition("=")[0].replace("-", "_")
        if word.startswith("--") and word != "--help" and key not in known:
            raise ConfigError(f"recipe '{recipe.name}': no setting '--{key}'{did_you_mean(key, known)}")


def _at(config: Any, key: str) -> Any:
    """The value at a dotted key, or None where there is no such key."""
    for name in key.split("."):
        config = getattr(config, name, None)
    return config


def _recipes_of(module: ModuleType) -> dict[str, Callable[[], Recipe]]:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if not name.startswith("_")
        and function.__module__ == module.__name__
        and inspect.signature(function).return_annotation is Recipe
    }


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConfigError(f"recipe file '{path}': is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
