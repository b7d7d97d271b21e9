"""Functions that a user names: ready ones by their name, one's own as `file.py:function`. What they return says what
they are."""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from unisid.config import did_you_mean
from unisid.errors import ConfigError

Functions = dict[str, Callable[..., Any]]


def ready(folder: str, returns: type) -> Functions:
    """The public functions of a package's modules that are annotated to return a type, by name."""
    try:
        package = importlib.import_module(folder)
    except ModuleNotFoundError:
        return {}
    found: Functions = {}
    for module in pkgutil.iter_modules(package.__path__):
        found |= _functions_of(importlib.import_module(f"{folder}.{module.name}"), returns)
    return found


def find(name: str, folder: str, returns: type, what: str) -> Callable[..., Any]:
    """The function of a name, or of a file and function ('my_recipes.py:beauty').

    Raises:
        ConfigError: there is none, or no such file; `what` is what it was to be, in a word.
    """
    path, _, function = name.partition(":")
    known = _functions_of(_load(Path(path), what), returns) if path.endswith(".py") else ready(folder, returns)
    wanted = function if path.endswith(".py") else name
    if wanted not in known:
        raise ConfigError(f"{what} '{name}': not known{did_you_mean(wanted, known)}; known: "
                          f"{', '.join(sorted(known)) or 'none'}; or give a file and a function: "
                          f"my_{what}s.py:beauty")  # fmt: skip
    return known[wanted]


def _functions_of(module: ModuleType, returns: type) -> Functions:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if not name.startswith("_")
        and function.__module__ == module.__name__
        and inspect.signature(function).return_annotation is returns
    }


def _load(path: Path, what: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConfigError(f"{what} file '{path}': is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
