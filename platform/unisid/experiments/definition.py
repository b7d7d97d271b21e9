"""Definition of an experiment: methods on one catalogue, each a recipe, and which is ours; and of a series of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unisid import config as settings
from unisid import named
from unisid.baselines import BaselineConfig
from unisid.config import did_you_mean
from unisid.errors import ConfigError
from unisid.planning import Recipe
from unisid.stages import baseline
from unisid.trials.trial import Trial, override

FOLDER = "jobs.experiments"
"""Where ready experiments lie: functions from a dataset's recipe to the experiment on it."""
NOT_SEEDED = ("catalog.", "embeddings.", "metrics.", "baseline.seed")
"""What seeds begin with that stay: of the data, of pretrained encoders, of the bootstrap."""


@dataclass(frozen=True)
class Method:
    """One row of a table."""

    name: str
    """Also a part of its artifacts' names."""
    recipe: Recipe
    at: float | None = None
    """Where it stands on the experiment's axis, if it has one."""
    index_alone: bool = False
    """Whether its semantic ids are judged, and no recommender."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ConfigError(
                f"method '{self.name}': must be letters, digits, '.', '_' or '-'; artifacts are called so"
            )

    @property
    def until(self) -> str:
        """The artifact that judges it."""
        if self.index_alone:
            return "codes"
        return "metrics" if self.recipe.baseline is None else "baseline"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question and the methods that answer it."""

    name: str
    question: str
    """What the table is for, in a sentence."""
    methods: tuple[Method, ...]
    ours: str = ""
    """The method that every other is compared with; the first where none is named."""
    axis: str = ""
    """What `Method.at` measures; a line is drawn over it."""
    reseeded: tuple[str, ...] = ("",)
    """What the keys begin with of seeds that an experiment's seeds replace; by default those of all that is learned."""
    cutoffs: tuple[int, ...] = ()
    """Of the printed table, where others than a table's usual ones answer the question."""

    def __post_init__(self) -> None:
        names = [method.name for method in self.methods]
        if not names:
            raise ConfigError(f"experiment {self.name}: has no methods")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"experiment {self.name}: {', '.join(twice)} is named twice; rename one")
        if self.ours and self.ours not in names:
            raise ConfigError(
                f"experiment {self.name}: '{self.ours}' is none of its methods"
                f"{did_you_mean(self.ours, names)}: {', '.join(names)}"
            )

    @property
    def reference(self) -> str:
        """The name of the method that the others are compared with."""
        return self.ours or self.methods[0].name

    def only(self, names: Sequence[str]) -> "Experiment":
        """The same with some of the methods; all where no name is given."""
        known = [method.name for method in self.methods]
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"experiment {self.name}: has no method '{name}'{did_you_mean(name, known)}; "
                    f"its methods: {', '.join(known)}"
                )
        if not names:
            return self
        kept = tuple(method for method in self.methods if method.name in names)
        return replace(self, methods=kept, ours=self.ours if self.ours in names else "")


@dataclass(frozen=True)
class Chapter:
    """One experiment of a series, and what its files stand for."""

    experiment: Experiment
    title: str
    """What its table answers to, such as 'Table 6.3'."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Of its plots by name ('line'): what each stands for, such as 'Figure 6.2'."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Experiments on one catalogue that are told on one page. What they share is made once, by its fingerprint."""

    name: str
    question: str
    chapters: tuple[Chapter, ...]

    def __post_init__(self) -> None:
        names = [chapter.experiment.name for chapter in self.chapters]
        if not names:
            raise ConfigError(f"series {self.name}: has no experiments")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"series {self.name}: {', '.join(twice)} is in it twice; rename one")

    def only(self, names: Sequence[str]) -> "Series":
        """The same with some of the methods; experiments that have none of them are left out."""
        if not names:
            return self
        having = {m.name for chapter in self.chapters for m in chapter.experiment.methods}
        for name in names:
            if name not in having:
                raise ConfigError(
                    f"series {self.name}: has no method '{name}'{did_you_mean(name, having)}; "
                    f"its methods: {', '.join(sorted(having))}"
                )
        kept = []
        for chapter in self.chapters:
            own = [method.name for method in chapter.experiment.methods if method.name in names]
            if own:
                kept.append(replace(chapter, experiment=chapter.experiment.only(own)))
        return replace(self, chapters=tuple(kept))


def ready() -> dict[str, Callable[[Recipe], Experiment | Series]]:
    """The experiments and series of them that come with the repository, by name."""
    return {**named.ready(FOLDER, Experiment, 1), **named.ready(FOLDER, Series, 1)}


def find(name: str, base: Recipe) -> Experiment | Series:
    """The experiment or series of a name, or the experiment of a file and function ('my_experiments.py:mine'), on a
    dataset's recipe."""
    kind = Series if name in named.ready(FOLDER, Series, 1) else Experiment
    found: Experiment | Series = named.make(name, FOLDER, kind, "experiment", base)
    return found


def baselines_share(base: Recipe) -> baseline.Config:
    """Training settings of all baselines on a dataset's recipe: its baseline's, or defaults on the model's machines."""
    return base.baseline or baseline.Config(pool=base.model.pool)


def with_baseline(base: Recipe, kind: BaselineConfig) -> Recipe:
    """The dataset's recipe with a baseline of some kind, which ranks as many test samples as the metrics do."""
    shared = replace(baselines_share(base), test_samples=base.metrics.test_samples)
    return replace(base, baseline=replace(shared, baseline=kind))


def cells(experiment: Experiment, base: Recipe, seeds: Sequence[int]) -> list[Trial]:
    """Every method under every seed, method by method.

    Raises:
        ConfigError: a seed is given twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"experiment: seeds {', '.join(map(str, seeds)) or 'none'}; give each once, at least one")
    found = []
    for method in experiment.methods:
        for seed in seeds:
            name = f"{base.name}-{method.name}-{seed}"
            recipe = replace(seeded(method.recipe, seed, experiment.reseeded), name=name, version=base.version)
            found.append(Trial(name, {"method": method.name}, seed, recipe, method.until))
    return found


def own_settings(experiment: Experiment, plain: Recipe, base: Recipe) -> dict[str, dict[str, str]]:
    """Methods that have settings of their own where the base's were changed: by method and key, theirs and the base's.

    A method keeps a training budget of its own, say, where its recommender is not the base's.

    Args:
        plain: the dataset's recipe before its settings were changed.
        base: the same after.
    """
    before = dict(settings.leaves(plain))
    changed = {key: value for key, value in settings.leaves(base) if key not in before or before[key] != value}
    found: dict[str, dict[str, str]] = {}
    for method in experiment.methods:
        recipe = method.recipe if method.recipe.baseline is None else replace(method.recipe, model=base.model)
        own = dict(settings.leaves(recipe))
        unlike = {key: f"{own[key]}, not {value}" for key, value in changed.items() if own.get(key, value) != value}
        if unlike:
            found[method.name] = unlike
    return found


def seeded(recipe: Recipe, seed: int, begins: tuple[str, ...] = ("",)) -> Recipe:
    """The recipe with this seed in everything that is learned, of the settings whose keys begin with one of these."""
    keys = [key for key, _ in settings.leaves(recipe) if key.endswith(".seed") and not key.startswith(NOT_SEEDED)]
    return override(recipe, dict.fromkeys((key for key in keys if key.startswith(begins)), seed))
