"""What a search tries: dotted keys with the values that each takes, and all combinations of them."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unisid import named
from unisid.config import did_you_mean
from unisid.errors import ConfigError


@dataclass(frozen=True)
class Space:
    """Dimensions: the dotted key of a setting -> the values it takes."""

    dimensions: Mapping[str, tuple[Any, ...]]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ConfigError(
                "space: is empty; name a setting and its values (--space fused.loss.temperature=.05,.1) "
                f"or a ready space: {', '.join(sorted(ready()))}"
            )
        for key, values in self.dimensions.items():
            if not values:
                raise ConfigError(f"space: '{key}' has no values; give them after '=', with commas between")
            if len({str(value) for value in values}) < len(values):
                raise ConfigError(f"space: '{key}' takes a value twice: {', '.join(map(str, values))}")

    def points(self) -> list[dict[str, Any]]:
        """Every combination, the last dimension changing fastest."""
        combined = itertools.product(*self.dimensions.values())
        return [dict(zip(self.dimensions, values, strict=True)) for values in combined]


def parse(words: Sequence[str]) -> Space:
    """`key=value,value`, `key=[json, values]` or a ready space's name, several of them joined."""
    dimensions: dict[str, tuple[Any, ...]] = {}
    for word in words:
        for key, values in _dimensions(word).items():
            if key in dimensions:
                raise ConfigError(f"space: '{key}' is given twice; name all its values at once")
            dimensions[key] = values
    return Space(dimensions)


def ready() -> dict[str, Callable[[], Space]]:
    """The spaces that come with the repository, by name: functions in `jobs/searches` that return a `Space`."""
    return named.ready("jobs.searches", Space)


def _dimensions(word: str) -> Mapping[str, tuple[Any, ...]]:
    key, given, text = word.partition("=")
    if given:
        return {key.strip().replace("-", "_"): _values(key, text.strip())}
    known = ready()
    if word not in known:
        raise ConfigError(
            f"space '{word}': is no ready space{did_you_mean(word, known)}; known: "
            f"{', '.join(sorted(known))}; or name a setting and its values: KEY=VALUE,VALUE"
        )
    return known[word]().dimensions


def _values(key: str, text: str) -> tuple[Any, ...]:
    if not text.startswith("["):
        return tuple(value.strip() for value in text.split(",") if value.strip())
    try:
        return tuple(json.loads(text))
    except ValueError as error:
        raise ConfigError(
            f"space: the values of '{key}' are not JSON ({error}); write such as [[256, 32], [64, 32]]"
        ) from None
