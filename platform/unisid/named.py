"""Functions that a user names: ready ones by their name, one's own as `file.py:function`. What they return says what
they are."""

import importlib
import importlib.util
import inspect
import pkgutil
import traceback
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from unisid.config import did_you_mean
from unisid.errors import ConfigError, UnisidError

Functions = dict[str, Callable[..., Any]]


def ready(folder: str, returns: type, given: int = 0) -> Functions:
    """The public functions of a package's modules that are annotated to return a type, by name.

    Args:
        given: with how many arguments they can be called; what needs more is a part of others, and no name to give.
    """
    try:
        package = importlib.import_module(folder)
    except ModuleNotFoundError:
        return {}
    found: Functions = {}
    for module in pkgutil.iter_modules(package.__path__):
        functions = _functions_of(importlib.import_module(f"{folder}.{module.name}"), returns)
        found |= {name: function for name, function in functions.items() if _takes(function, given)}
    return found


def make(name: str, folder: str, returns: type, what: str, *arguments: Any) -> Any:
    """Call the function of a name, or of a file and function ('my_recipes.py:beauty'), with these arguments.

    Args:
        what: what it is, in a word, for errors.

    Raises:
        ConfigError: there is none, no such file, the file or the function raises (with its line), takes other
            arguments, or returns anything else.
    """
    path, colon, function = name.rpartition(":")
    if not path.endswith(".py"):
        path, function = (name, "") if name.endswith(".py") and not colon else ("", name)
    found = _own(Path(path), function, returns, what) if path else _ready(name, folder, returns, what, len(arguments))
    _check_parameters(found, name, returns, what, len(arguments))
    made = _run(lambda: found(*arguments), inspect.getfile(found), f"{what} '{name}'")
    if not isinstance(made, returns):
        raise ConfigError(f"{what} '{name}': returns {type(made).__name__}; must return a {returns.__name__}")
    return made


def _ready(name: str, folder: str, returns: type, what: str, given: int) -> Callable[..., Any]:
    known = ready(folder, returns, given)
    if name not in known:
        raise ConfigError(
            f"{what} '{name}': not known{did_you_mean(name, known)}; known: {_listed(known)}; or give a "
            f"file and a function: my_{what}s.py:beauty"
        )
    return known[name]


def _own(path: Path, function: str, returns: type, what: str) -> Callable[..., Any]:
    """A function of the user's own file."""
    module = _load(path, what)
    known = _functions_of(module, returns)
    if function in known:
        return known[function]
    form = f"def {function or 'beauty'}(...) -> {returns.__name__}:"
    there = getattr(module, function, None) if function else None
    if isinstance(there, returns):
        raise ConfigError(
            f"{what} '{path}:{function}': is a {returns.__name__} itself; must be a function that returns one: {form}"
        )
    if callable(there):
        raise ConfigError(
            f"{what} '{path}:{function}': does not say that it returns a {returns.__name__}; must be written as {form}"
        )
    if there is not None:
        raise ConfigError(f"{what} '{path}:{function}': is {there!r:.60}; must be a function: {form}")
    raise ConfigError(
        f"{what} '{path}:{function}': not known{did_you_mean(function, known)}; known: {_listed(known)}; "
        f"each is written as {form}"
    )


def _functions_of(module: ModuleType, returns: type) -> Functions:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {
        name: function
        for name, function in functions
        if not name.startswith("_")
        and function.__module__ == module.__name__
        and _returned(function) is returns
        and not inspect.iscoroutinefunction(function)
    }


def _returned(function: Callable[..., Any]) -> Any:
    """The type that a function is annotated to return, also where annotations are kept as texts."""
    alone = SimpleNamespace(__annotations__={"return": function.__annotations__.get("return")})
    try:
        return typing.get_type_hints(alone, function.__globals__)["return"]
    except Exception:  # a text that names nothing, of a file of one's own
        return None


def _check_parameters(function: Callable[..., Any], name: str, returns: type, what: str, given: int) -> None:
    if not _takes(function, given):
        signature = inspect.signature(function)
        right = "none" if not given else f"{given}, the recipe of a dataset"
        raise ConfigError(
            f"{what} '{name}': takes {len(signature.parameters)} arguments, {signature}; must take {right}"
        )


def _takes(function: Callable[..., Any], given: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(given))
    except TypeError:
        return False
    return True


def _load(path: Path, what: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(
            f"{what} file '{path}': is {'a folder' if path.is_dir() else 'not there'}; must be a Python file"
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader
    _run(lambda: loader.exec_module(module), str(path), f"{what} file '{path}'")
    return module


def _run(act: Callable[[], Any], file: str, where: str) -> Any:
    """Run a user's own code; what it raises becomes an error that names the last line of its file that was run."""
    try:
        return act()
    except UnisidError:
        raise
    except SyntaxError as error:
        own = "" if error.filename in (None, file) else f" of {error.filename}"
        raise ConfigError(
            f"{where}, line {error.lineno}{own}: is no Python ({error.msg}); must be put right there"
        ) from error
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line = f", line {lines[-1]}" if lines else ""
        raise ConfigError(f"{where}{line}: raises {_shown(error)}; must be put right there") from error


def _shown(error: BaseException) -> str:
    """The kind of an error and its text, if it has one that can be had."""
    try:
        return f"{type(error).__name__} ({error})"
    except Exception:
        return type(error).__name__


def _listed(known: Functions) -> str:
    return ", ".join(sorted(known)) or "none"
