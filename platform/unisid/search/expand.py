"""A space, point by point, as whole recipes; whatever is wrong with it is said before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from unisid import config as settings
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS
from unisid.config import PlugIn, at
from unisid.errors import ConfigError
from unisid.planning import Recipe, inputs_of, needed, stage_of
from unisid.recipe_roles import config_of, role_of, roles_at
from unisid.search.space import Space
from unisid.trials.trial import Trial, override, refuse_unknown

SHORT = 8
"""Digits of a trial's fingerprint in its name."""


def expand(recipe: Recipe, space: Space, seeds: Sequence[int], until: str) -> list[Trial]:
    """Every trial of a space: its points, each under every seed.

    Raises:
        ConfigError: a key is unknown, a section, or one that cannot change the artifact `until`; a value is of the
            wrong type or out of range, alone or together with the others of its point.
    """
    for key in space.dimensions:
        if not any(key.startswith(f"{other}.") for other in space.dimensions):  # else known when that one is set
            refuse_unknown(recipe, key)
        _refuse_far(recipe, key, until)
    points = space.points()
    tried = [override(recipe, point) for point in points]
    for key in space.dimensions:
        _refuse_idle(key, points, tried)
    seeded = _seeds(recipe, space, until)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"search: seeds {', '.join(map(str, seeds))}; each may be given once")
    if seeds and not seeded:
        raise ConfigError(
            f"search: seeds {', '.join(map(str, seeds))}; no stage that the space changes up to {until} "
            "takes a seed; leave them out"
        )
    trials = []
    for point, varied in zip(points, tried, strict=True):
        shown = {key: _plain(varied, key) for key in point}
        for seed in seeds or (None,):
            reseeded = varied if seed is None else override(varied, dict.fromkeys(seeded, seed))
            own = shown | ({} if seed is None else dict.fromkeys(seeded, seed))
            number = settings.fingerprint(own)[:SHORT]
            trials.append(Trial(number, shown, seed, replace(reseeded, name=f"{recipe.name}-trial-{number}"), until))
    return trials


def _refuse_far(recipe: Recipe, key: str, until: str) -> None:
    """A dimension must reach the artifact that is judged."""
    role = role_of(key)
    if noun_of(role) in NOUNS and role not in _upstream(recipe, until):
        raise ConfigError(
            f"space '{key}': changes no {until}, which is what the objectives judge; "
            "leave it out, or choose an objective that depends on it"
        )


def _refuse_idle(key: str, points: Sequence[Mapping[str, Any]], tried: Sequence[Recipe]) -> None:
    """A dimension must bear identity at some point, or decide what goes into its stage from outside."""
    known = any(key in settings.flatten(settings.to_record(recipe)) for recipe in tried)
    identity = any(key in settings.flatten(settings.to_record(recipe, identity=True)) for recipe in tried)
    if known and not identity and not _feeds(key, points, tried):
        raise ConfigError(f"space '{key}': says how or where work is done and changes no result; nothing to search")


def _feeds(key: str, points: Sequence[Mapping[str, Any]], tried: Sequence[Recipe]) -> bool:
    """Whether the sources of a setting's stage, such as pretrained weights, differ with its value.

    A single value has nothing to differ from; then it is enough that something goes in.
    """
    role = role_of(key)
    if noun_of(role) not in NOUNS:
        return False
    sources = [stage_of(recipe, role).sources(config_of(recipe, role)) for recipe in tried]
    held = [{role: source["fingerprint"] for role, source in each.items()} for each in sources]
    by_value: dict[str, set[str]] = {}
    for point, each in zip(points, held, strict=True):
        by_value.setdefault(str(point[key]), set()).add(settings.fingerprint(each))
    return any(held) if len(by_value) == 1 else len(set(map(frozenset, by_value.values()))) > 1


def _seeds(recipe: Recipe, space: Space, until: str) -> list[str]:
    """The seed keys of all stages that the space touches or feeds."""
    touched = {role for key in space.dimensions for role in roles_at(key)}
    for role in needed(recipe, until):
        if touched & set(inputs_of(recipe, role)):
            touched.add(role)
    wanted = touched & _upstream(recipe, until)
    return [
        k
        for k, _ in settings.leaves(recipe)
        if k.endswith(".seed") and role_of(k) in wanted and k not in space.dimensions
    ]


def _upstream(recipe: Recipe, until: str) -> set[str]:
    """The roles that a run until this one goes through."""
    return set(needed(recipe, until))


def _plain(recipe: Recipe, key: str) -> Any:
    """The value at a dotted key as the command line takes it: a plug-in by its kind, a tuple in words."""
    value = at(recipe, key)
    if isinstance(value, PlugIn):
        return value.kind
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
