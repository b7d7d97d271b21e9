"""The little that dataclasses and tyro do not give: records, fingerprints, dotted overrides, plug-ins.

A configuration is a tree of frozen, keyword-only dataclasses. A field *bears identity* unless it was made
with `runtime`: identity is what decides the bytes of the result; worker counts, paths and devices do not. One with
`identity_where` in its metadata bears it only beside other fields that make it count.
"""

import dataclasses
import difflib
import hashlib
import importlib
import json
import math
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from unisid.bounds import Settings
from unisid.errors import ConfigError

C = TypeVar("C")
Json = dict[str, Any]


class PlugIn(Settings):
    """Base of every plug-in's `Config`: its `kind` is the name of the module that defines it.

    A folder (`fusion`, `tokenizers`, ...) is the registry of its plug-ins; the folder's `__init__` defines
    the base its Configs derive from and the one small interface they build.
    """

    @property
    def kind(self) -> str:
        return type(self).__module__.rpartition(".")[2]


def runtime(default: Any) -> Any:
    """A field that says how or where work is done and bears no identity: workers, batch memory, paths."""
    return dataclasses.field(default=default, metadata={"identity": False})


def identity_where(holds: Callable[[Any], bool]) -> Mapping[str, Any]:
    """Metadata of a field that decides the bytes of the result only where this holds of its configuration."""
    return {"identity": holds}


def to_record(config: Any, *, identity: bool = False) -> Json:
    """A configuration as plain JSON values; with `identity`, only the fields that bear identity."""
    record: Json = {"kind": config.kind} if isinstance(config, PlugIn) else {}
    for field in dataclasses.fields(config):
        bears = field.metadata.get("identity", True)
        if not identity or (bears(config) if callable(bears) else bears):
            record[field.name] = _plain(getattr(config, field.name), identity)
    return record


def from_record(cls: type[C], record: Mapping[str, Any]) -> C:
    """The inverse of `to_record(config)`. Unknown or missing fields raise ConfigError."""
    if not (dataclasses.is_dataclass(cls) or issubclass(cls, PlugIn)):
        raise ConfigError(f"settings: {dict(record)!r:.80} for {cls.__name__}; must be a single value")
    if issubclass(cls, PlugIn):
        kind = record.get("kind", "")
        folder = cls.__module__ if not dataclasses.is_dataclass(cls) else cls.__module__.rpartition(".")[0]
        cls = typing.cast(type[C], plug_in(folder.rpartition(".")[2], str(kind)))
    hints = typing.get_type_hints(cls)
    fields = {field.name for field in dataclasses.fields(typing.cast(Any, cls))}
    values = {}
    for name, value in record.items():
        if name == "kind" and issubclass(cls, PlugIn):
            continue
        if name not in fields:
            raise ConfigError(f"{cls.__qualname__}: no field '{name}'{did_you_mean(name, fields)}")
        values[name] = _typed(hints[name], value, name)
    return cls(**values)


def fingerprint(record: Any) -> str:
    """The SHA-256 of a JSON value in canonical form: equal values, equal text, whatever the order of keys."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def json_text(value: Any) -> str:
    """A result as JSON, which has no NaN and no infinity: null stands for them, and for figures that nothing gives."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested records by dotted key: {"codes.tokenizer.codebook_size": 256, ...}."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            flat |= flatten(value, key)
        else:
            flat[key] = value
    return flat


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line a dotted key whose value differs: 'tokenizer.levels: 3 -> 4'."""
    old, new = flatten(before), flatten(after)
    missing = "(absent)"
    return [
        f"{key}: {old.get(key, missing)} -> {new.get(key, missing)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, missing) != new.get(key, missing)
    ]


def override(config: C, key: str, value: Any) -> C:
    """A copy with the field at a dotted key set; a bare word sets a plug-in by its kind, with its defaults.

    Raises ConfigError for an unknown key (with the nearest known one), a wrong type or a refused value.
    """
    try:
        return _overridden(config, key, value)
    except ConfigError as error:
        raise in_full(error, key) from None


def in_full(error: ConfigError, key: str) -> ConfigError:
    """An error that begins with the end of a dotted key, such as 'training.epochs', with all of the key."""
    head, colon, rest = str(error).partition(":")
    return ConfigError(f"{key}:{rest}") if colon and key.endswith(f".{head}") else error


def _overridden(config: C, key: str, value: Any) -> C:
    name, dot, rest = key.partition(".")
    fields = {field.name for field in dataclasses.fields(typing.cast(Any, config))}
    if name not in fields:
        known = (*fields, *flatten(to_record(config)))
        raise ConfigError(f"{type(config).__qualname__}: no key '{key}'{did_you_mean(key, known)}")
    current = getattr(config, name)
    if dot and isinstance(current, Mapping):
        value = _override_named(typing.get_args(typing.get_type_hints(type(config))[name])[1], current, key, value)
    elif not dot and isinstance(value, str) and (parse := parser(config, name)) is not None:
        value = parse(value)
    elif dot:
        if not dataclasses.is_dataclass(current):
            raise ConfigError(f"{key}: '{name}' is a value, it has no field '{rest}'")
        value = override(current, rest, value)
    elif isinstance(current, PlugIn) and isinstance(value, str):
        value = plug_in(type(current).__module__.split(".")[-2], value)()
    elif not dataclasses.is_dataclass(value):
        value = _typed(typing.get_type_hints(type(config))[name], value, key)
    return dataclasses.replace(typing.cast(Any, config), **{name: value})


def _override_named(hint: Any, current: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of a mapping with the value at a dotted key set; a number is added where its name is new. The name of a
    number may have dots of its own."""
    if not dataclasses.is_dataclass(hint):
        return {**current, key.partition(".")[2]: _typed(hint, value, key)}
    _, name, rest = [*key.split(".", 2), ""][:3]
    if name not in current:
        raise ConfigError(
            f"{key}: there is no '{name}'{did_you_mean(name, current)}; known: {', '.join(current) or 'none'}"
        )
    if rest:
        return {**current, name: override(current[name], rest, value)}
    return {**current, name: _typed(hint, value, key)}


def parser(config: Any, name: str) -> Callable[[str], Any] | None:
    """The function that makes the settings at a dotted key from one word (their `parse`); None where there is none."""
    section, _, last = name.rpartition(".")
    holder = at(config, section) if section else config
    if not dataclasses.is_dataclass(holder):
        return None
    hint = typing.get_type_hints(type(holder)).get(last)
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((kind.parse for kind in kinds if hasattr(kind, "parse")), None)


def at(config: Any, key: str) -> Any:
    """The value at a dotted key, or None where there is no such key."""
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
    return config


def is_of_numbers(config: Any, key: str) -> bool:
    """Whether what lies at a dotted key is a mapping from names to single values."""
    section, _, last = key.rpartition(".")
    holder = at(config, section) if section else config
    if not dataclasses.is_dataclass(holder):
        return False
    hint = typing.get_type_hints(type(holder)).get(last)
    return typing.get_origin(hint) is Mapping and not dataclasses.is_dataclass(typing.get_args(hint)[1])


def plug_in(folder: str, kind: str) -> type[Any]:
    """The Config class of a plug-in: `plug_in("tokenizers", "rqvae")`."""
    config = _config_of(folder, kind) if kind in _modules(folder) else None
    if config is None:
        kinds = plug_ins(folder)
        raise ConfigError(f"{folder}: no kind '{kind}'{did_you_mean(kind, kinds)}; known: {', '.join(kinds)}")
    return config


def plug_ins(folder: str) -> list[str]:
    """The kinds in a plug-in folder: the names of its modules that define a Config."""
    return [name for name in _modules(folder) if _config_of(folder, name) is not None]


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """'; did you mean ...?' for the nearest known word, best one that differs in case alone, or nothing."""
    words = list(known)
    alike = [other for other in words if other.casefold() == str(word).casefold()]
    close = alike or difflib.get_close_matches(str(word), words, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every (dotted key, value) of a configuration tree, runtime fields included."""
    yield from flatten(to_record(config), prefix).items()


def _modules(folder: str) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(f"unisid.{folder}").__path__))


def _config_of(folder: str, module: str) -> type[Any] | None:
    return getattr(importlib.import_module(f"unisid.{folder}.{module}"), "Config", None)


def _plain(value: Any, identity: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return to_record(value, identity=identity)
    if isinstance(value, (list, tuple)):
        return [_plain(item, identity) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item, identity) for name, item in sorted(value.items())}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ConfigError(f"a setting must be a number, text, tuple or dataclass, not {type(value).__name__}")


def _typed(hint: Any, value: Any, where: str = "") -> Any:
    """A JSON or command-line value as the annotated type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (value == "None" and type(None) in args):
            return None
        hint = next(a for a in args if a is not type(None))
        return _typed(hint, value, where)
    if origin in (tuple, Mapping):
        return (_several if origin is tuple else _by_name)(args, value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where}: '{value}' is not one of {', '.join(map(str, args))}")
        return value
    if isinstance(value, Mapping):
        return from_record(hint, value)
    if hint is bool and isinstance(value, str):
        if value not in ("True", "False", "true", "false"):
            raise ConfigError(f"{where}: '{value}' is neither True nor False")
        return value.lower() == "true"
    if hint in (int, float, str, bool):
        return _number_or_text(hint, value, where)
    return value


def _several(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: {value!r:.80} is no list of values; must be one, such as [{value!r:.40}]")
    return tuple(_typed(args[0], item, where) for item in value)


def _by_name(args: tuple[Any, ...], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {value!r:.80} is no mapping from names to values; must be one")
    return {str(name): _typed(args[1], item, f"{where}.{name}") for name, item in value.items()}


def _number_or_text(hint: type[Any], value: Any, where: str) -> Any:
    fits = isinstance(value, hint) if hint in (str, bool) else not isinstance(value, bool)
    try:
        if fits and hint(value) == (value if not isinstance(value, str) else hint(value)):
            return hint(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigError(f"{where}: '{value!s:.80}' is not of type {hint.__name__}")
