"""A space, point by point, as whole recipes; whatever is wrong with it is said before anything runs."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from unisid import config as settings
from unisid.artifacts.store import NOUNS, Store
from unisid.compute import Pool
from unisid.config import PlugIn, at, did_you_mean
from unisid.errors import ConfigError
from unisid.pipeline import STAGES, Planned, Recipe, inputs_of, missing, plan, refuse_drift
from unisid.runtime.trials import Share
from unisid.search.space import Space

SHORT = 8
"""Digits of a trial's fingerprint in its name."""


@dataclass(frozen=True)
class Trial:
    """One point of a space, under one seed."""

    id: str
    """The short fingerprint of the overrides, seeds included."""
    settings: Mapping[str, Any]
    """What it tries, by dotted key."""
    seed: int | None
    """Of the stages that the space touches or feeds; None: the recipe's own."""
    recipe: Recipe
    until: str
    """The last artifact that it makes."""

    @property
    def name(self) -> str:
        """'structure_weight 0.2, seed 42'."""
        parts = [f"{key.rpartition('.')[2]} {value}" for key, value in self.settings.items()]
        return ", ".join(parts + ([] if self.seed is None else [f"seed {self.seed}"]))


def expand(recipe: Recipe, space: Space, seeds: Sequence[int], until: str) -> list[Trial]:
    """Every trial of a space: its points, each under every seed.

    Raises:
        ConfigError: a key is unknown, a section, or one that cannot change the artifact `until`; a value is of the
            wrong type or out of range, alone or together with the others of its point.
    """
    for key in space.dimensions:
        if not any(key.startswith(f"{other}.") for other in space.dimensions):  # else known when that one is set
            _refuse_unknown(recipe, key)
        _refuse_far(recipe, key, until)
    points = space.points()
    tried = [override(recipe, point) for point in points]
    for key in space.dimensions:
        _refuse_idle(key, points, tried)
    seeded = _seeds(recipe, space, until)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"search: seeds {', '.join(map(str, seeds))}; each may be given once")
    if seeds and not seeded:
        raise ConfigError(f"search: seeds {', '.join(map(str, seeds))}; no stage that the space changes up to {until} "
                          "takes a seed; leave them out")  # fmt: skip
    trials = []
    for point, varied in zip(points, tried, strict=True):
        shown = {key: _plain(varied, key) for key in point}
        for seed in seeds or (None,):
            sown = varied if seed is None else override(varied, dict.fromkeys(seeded, seed))
            own = shown | ({} if seed is None else dict.fromkeys(seeded, seed))
            number = settings.fingerprint(own)[:SHORT]
            trials.append(Trial(number, shown, seed, replace(sown, name=f"{recipe.name}-trial-{number}"), until))
    return trials


def override(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with several settings changed: plug-ins first, then all others at once, as only together they fit."""
    try:
        for key in sorted(values, key=lambda key: key.count(".")):
            if isinstance(at(recipe, key), PlugIn):
                recipe = settings.override(recipe, key, values[key])
        plain = [key for key in values if not isinstance(at(recipe, key), PlugIn)]
        if len(plain) == 1:
            _refuse_unknown(recipe, plain[0])
            return settings.override(recipe, plain[0], values[plain[0]])
        record = settings.to_record(recipe)
        for key in plain:
            _refuse_unknown(recipe, key)
            *sections, name = key.split(".")
            functools.reduce(lambda section, inner: section[inner], sections, record)[name] = values[key]
        return settings.from_record(Recipe, record)
    except ConfigError as error:
        if str(error).startswith("space '"):
            raise
        point = ", ".join(f"{k}={v}" for k, v in values.items())
        raise ConfigError(f"space, {point}: {error}") from None


def plans(trials: Sequence[Trial], store: Store) -> list[list[Planned]]:
    """What each trial would find and make.

    Raises:
        DriftError: where another artifact has a trial's name.
        ConfigError: two trials would make the same artifact in the end.
    """
    found, known = [], dict[str, Trial]()
    for trial in trials:
        planned = plan(trial.recipe, store, trial.until)
        refuse_drift(planned)
        twin = known.setdefault(planned[-1].fingerprint, trial)
        if twin is not trial:
            raise ConfigError(f"space: '{twin.name}' and '{trial.name}' make the same {trial.until}; "
                              "leave one of the values out, or a setting that the other makes idle")  # fmt: skip
        found.append(planned)
    return found


def share(trials: Sequence[Trial], planned: Sequence[Sequence[Planned]]) -> Share:
    """What each trial must hold: as much as the largest pool among the stages that are still to be made."""
    pools = [
        pool
        for trial, entries in zip(trials, planned, strict=True)
        for entry in missing(list(entries))
        for pool in _pools(getattr(trial.recipe, entry.noun))
    ]
    cpus = max((max(1, pool.workers) * pool.cpus for pool in pools), default=1.0)
    return Share(cpus=cpus, gpus=max((max(1, pool.workers) * pool.gpus for pool in pools), default=0.0))


def _pools(config: Any) -> list[Pool]:
    if isinstance(config, Pool):
        return [config]
    parts = [getattr(config, field.name) for field in fields(config)] if is_dataclass(config) else []
    return [pool for part in parts for pool in _pools(part)]


def _refuse_unknown(recipe: Recipe, key: str) -> None:
    known = [k for k, _ in settings.leaves(recipe) if not k.endswith(".kind")]
    value = at(recipe, key)
    if key in known or isinstance(value, PlugIn):
        return
    if is_dataclass(value):
        inside = ", ".join(k for k in known if k.startswith(f"{key}."))
        raise ConfigError(f"space '{key}': is a section of settings; name one of them: {inside}")
    raise ConfigError(f"space '{key}': recipe '{recipe.name}' has no such setting{did_you_mean(key, known)}")


def _refuse_far(recipe: Recipe, key: str, until: str) -> None:
    """A dimension must reach the artifact that is judged."""
    noun = key.partition(".")[0]
    if noun in NOUNS and noun not in _upstream(recipe, until):
        raise ConfigError(f"space '{key}': changes no {until}, which is what the objectives judge; "
                          "leave it out, or ask for an objective that depends on it")  # fmt: skip


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
    noun = key.partition(".")[0]
    if noun not in NOUNS:
        return False
    sources = [STAGES[noun].sources(getattr(recipe, noun)) for recipe in tried]
    held = [{role: source["fingerprint"] for role, source in each.items()} for each in sources]
    by_value: dict[str, set[str]] = {}
    for point, each in zip(points, held, strict=True):
        by_value.setdefault(str(point[key]), set()).add(settings.fingerprint(each))
    return any(held) if len(by_value) == 1 else len(set(map(frozenset, by_value.values()))) > 1


def _seeds(recipe: Recipe, space: Space, until: str) -> list[str]:
    """The seed keys of all stages that the space touches or feeds."""
    touched = {key.partition(".")[0] for key in space.dimensions}
    for noun in NOUNS:
        if touched & set(inputs_of(recipe, noun)):
            touched.add(noun)
    wanted = touched & _upstream(recipe, until)
    return [k for k, _ in settings.leaves(recipe) if k.endswith(".seed") and k.partition(".")[0] in wanted
            and k not in space.dimensions]  # fmt: skip


def _upstream(recipe: Recipe, until: str) -> set[str]:
    """The nouns that a run until this one goes through."""
    wanted = {until}
    for noun in reversed(NOUNS):
        if noun in wanted:
            wanted |= set(inputs_of(recipe, noun))
    return wanted


def _plain(recipe: Recipe, key: str) -> Any:
    """The value at a dotted key as the command line takes it: a plug-in by its kind, a tuple in words."""
    value = at(recipe, key)
    if isinstance(value, PlugIn):
        return value.kind
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
