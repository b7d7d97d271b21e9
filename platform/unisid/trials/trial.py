"""One trial of a search or an experiment: its recipe, the settings that it tries, the resources that it needs."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from unisid import config as settings
from unisid.compute import Pool
from unisid.config import PlugIn, at, did_you_mean
from unisid.errors import ConfigError
from unisid.planned import Planned
from unisid.planning import Recipe, missing
from unisid.recipe_roles import config_of
from unisid.runtime.trials import Share


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


def override(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with several settings changed: plug-ins first, then all others at once, as only together they fit."""
    try:
        for key in sorted(values, key=lambda key: key.count(".")):
            if isinstance(at(recipe, key), PlugIn):
                recipe = settings.override(recipe, key, values[key])
        plain = [key for key in values if not isinstance(at(recipe, key), PlugIn)]
        if len(plain) == 1:
            refuse_unknown(recipe, plain[0])
            return settings.override(recipe, plain[0], values[plain[0]])
        record = settings.to_record(recipe)
        for key in plain:
            refuse_unknown(recipe, key)
            *sections, name = key.split(".")
            functools.reduce(lambda section, inner: section[inner], sections, record)[name] = values[key]
        return settings.from_record(Recipe, record)
    except ConfigError as error:
        if str(error).startswith("space '"):
            raise
        point = ", ".join(f"{k}={v}" for k, v in values.items())
        raise ConfigError(f"space, {point}: {error}") from None


def share(trials: Sequence[Trial], planned: Sequence[Sequence[Planned]]) -> Share:
    """The resources that each trial reserves: those of the largest pool among the stages that are still to be made."""
    pools = [
        pool
        for trial, entries in zip(trials, planned, strict=True)
        for entry in missing(list(entries))
        for pool in _pools(config_of(trial.recipe, entry.noun))
    ]
    cpus = max((max(1, pool.workers) * pool.cpus for pool in pools), default=1.0)
    return Share(cpus=cpus, gpus=max((max(1, pool.workers) * pool.gpus for pool in pools), default=0.0))


def refuse_unknown(recipe: Recipe, key: str) -> None:
    """Raises ConfigError where a dotted key is no setting of a recipe, or a section of settings."""
    known = [k for k, _ in settings.leaves(recipe) if not k.endswith(".kind")]
    value = at(recipe, key)
    if key in known or isinstance(value, PlugIn):
        return
    if is_dataclass(value):
        inside = ", ".join(k for k in known if k.startswith(f"{key}."))
        raise ConfigError(f"space '{key}': is a section of settings; name one of them: {inside}")
    raise ConfigError(f"space '{key}': recipe '{recipe.name}' has no such setting{did_you_mean(key, known)}")


def _pools(config: Any) -> list[Pool]:
    if isinstance(config, Pool):
        return [config]
    parts = [getattr(config, field.name) for field in fields(config)] if is_dataclass(config) else []
    return [pool for part in parts for pool in _pools(part)]
