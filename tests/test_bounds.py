"""Every setting of every kind: what lies outside its range is refused when settings are made, and named."""

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from jaxtyping import TypeCheckError

from unisid import recipes
from unisid.bounds import Count, Name, Positive, Range, Seed, Settings, Share, Spelling
from unisid.compute import Pool
from unisid.config import PlugIn, override, plug_in, plug_ins
from unisid.errors import ConfigError
from unisid.planning import Recipe
from unisid.search.definition import Stopping
from unisid.stages import metrics, model
from unisid.stages.extension import Base

OTHER_TYPE = (ConfigError, TypeCheckError)
"""In the packages that `conftest.py` hooks, jaxtyping sees a wrong type first; without the hook it is a ConfigError."""
FOLDERS = ("datasets", "encoders", "graphs", "fusion", "tokenizers", "backbones", "baselines", "tasks")


def inner(hint):
    """A type without Annotated, None and tuple: (the type, its bounds)."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return args[0], [bound for bound in args[1:] if isinstance(bound, Range | Spelling)]
    if origin in (typing.Union, types.UnionType):
        return inner(next(a for a in args if a is not type(None)))
    if origin is tuple:
        return inner(args[0])
    if origin is Mapping:
        return inner(args[1])
    return hint, []


def reachable():
    """Every class of settings that a recipe may hold."""
    wait: list[type] = [Recipe, Stopping]
    wait += [plug_in(folder, kind) for folder in FOLDERS for kind in plug_ins(folder)]
    found: dict[type, None] = {}
    while wait:
        cls = wait.pop()
        if cls in found or not dataclasses.is_dataclass(cls):
            continue
        found[cls] = None
        hints = typing.get_type_hints(cls, include_extras=True)
        kinds = [inner(hints[field.name])[0] for field in dataclasses.fields(cls)]
        wait += [kind for kind in kinds if isinstance(kind, type)]
    return list(found)


CLASSES = reachable()


def made(cls):
    """Settings with their defaults, and something for what has none."""
    needed = {
        "measure": "ndcg",
        "fingerprint": "f" * 64,
        "base": Base(fingerprint="f" * 64),
        "known": Base(fingerprint="f"),
        "teacher_at": Base(fingerprint="f" * 64),
    }
    return cls(**{name: value for name, value in needed.items() if name in names(cls)})


def names(cls):
    return [field.name for field in dataclasses.fields(cls)]


FIELDS = [
    (cls, field.name, typing.get_type_hints(cls, include_extras=True)[field.name])
    for cls in CLASSES
    for field in dataclasses.fields(cls)
]
NUMBERS = [(cls, name, hint) for cls, name, hint in FIELDS if inner(hint)[0] in (int, float)]
ids = [f"{cls.__module__.removeprefix('unisid.')}.{cls.__name__}.{name}" for cls, name, _ in NUMBERS]


def test_all_settings_are_checked():
    assert [cls for cls in CLASSES if not issubclass(cls, Settings)] == []
    assert len(CLASSES) > 40
    assert issubclass(PlugIn, Settings)


@pytest.mark.parametrize(("cls", "name", "hint"), NUMBERS, ids=ids)
def test_every_number_declares_its_range(cls, name, hint):
    _, [bound] = inner(hint)
    assert math.isfinite(bound.least)
    assert math.isfinite(bound.most)
    assert bound.least < bound.most


@pytest.mark.parametrize(("cls", "name", "hint"), NUMBERS, ids=ids)
def test_no_number_outside_its_range_is_taken(cls, name, hint):
    """Inside it, other settings may still be in the way: then too it is a ConfigError."""
    kind, [bound] = inner(hint)
    origin, good = typing.get_origin(hint), made(cls)

    def given(value):
        wrapped = (value,) if origin is tuple else {"image": value} if origin is Mapping else value
        return dataclasses.replace(good, **{name: wrapped})

    outside = [math.nan, math.inf, -math.inf, kind(bound.least - 1), kind(2 * bound.most + 1), kind(10**40)]
    outside += [kind(bound.least)] if bound.above else []
    outside += [kind(bound.most)] if bound.below else []
    if kind is int:
        outside = [value for value in outside if isinstance(value, int)]
    for value in outside:
        with pytest.raises(ConfigError, match=rf"\.{name}(\.image)?: is "):
            given(value)
    others = [
        "1",
        "nan",
        True,
        [3],
        1j,
        *([] if type(None) in typing.get_args(hint) or "None" in str(hint) else [None]),
    ]
    others += [1.5, 1.0, math.nan, math.inf] if kind is int else []
    for value in others:
        with pytest.raises(OTHER_TYPE):
            given(value)
    for value in (bound.least, bound.most, (bound.least + bound.most) / 2):
        with contextlib.suppress(ConfigError):
            given(kind(value))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_no_value_of_another_type_is_taken(cls):
    good = made(cls)
    for name in names(cls):
        with pytest.raises(OTHER_TYPE):
            dataclasses.replace(good, **{name: object()})


@dataclass(frozen=True, kw_only=True)
class Small(Settings):
    many: Count = 1
    much: Positive = 1.0
    part: Share = 0.5
    parts: tuple[Share, ...] = ()
    maybe: Annotated[int, Range(2, 5)] | None = None
    word: Literal["a", "b"] = "a"
    level: Literal[0, 1] = 0
    on: bool = False
    called: Name = "x"
    seed: Seed = 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("many", 0, "small.many: is 0; must be at least 1 and at most 2,147,483,647"),
        ("many", True, "small.many: is True; must be an integer at least 1"),
        ("much", 0, "small.much: is 0; must be above 0 and at most 1e.30"),
        ("much", math.nan, "small.much: is nan; must be a finite number above 0"),
        ("part", 1.1, "small.part: is 1.1; must be at least 0 and at most 1"),
        ("parts", (0.5, 2.0), "small.parts: is 2.0; must be at least 0"),
        ("parts", 0.5, r"small.parts: is 0.5; must be a tuple, such as \(0.5,\)"),
        ("parts", "0.5", r"small.parts: is '0.5'; must be a tuple"),
        ("maybe", 6, "small.maybe: is 6; must be at least 2 and at most 5"),
        ("word", "c", "small.word: is 'c'; must be one of a, b"),
        ("level", True, "small.level: is True; must be one of 0, 1"),
        ("on", 1, "small.on: is 1; must be True or False"),
        ("called", "a/b", "small.called: is 'a/b'; must be 1 to 100 letters, digits"),
        ("called", "", "small.called: is ''; must be 1 to 100 letters"),
        ("called", "..", "small.called"),
        ("called", "x" * 101, "small.called"),
        ("called", "a\n", "small.called"),
        ("seed", -1, "small.seed: is -1; must be at least 0 and at most 4,294,967,295"),
    ],
)
def test_a_refusal_names_field_value_and_range(name, value, message):
    with pytest.raises(ConfigError, match=message):
        Small(**{name: value})


def test_what_lies_inside_is_taken():
    assert Small(much=1, part=0, parts=[0, 1], maybe=None, level=1, called="a.b-c_1").much == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--metrics.method", "a/b"),
        ("--metrics.method", ""),
        ("--metrics.cutoffs", "5", "5"),
        ("--metrics.cutoffs", "0"),
        ("--metrics.beam", "20"),
        ("--metrics.beam", "9", "--metrics.cutoffs", "10"),
        ("--catalog.seed", "-1"),
        ("--codes.training.seed", "-1"),
        ("--model.training.learning-rate", "nan"),
        ("--model.training.learning-rate", "inf"),
        ("--model.training.gradient-clip", "-1"),
        ("--model.training.warmup-steps", "-1"),
        ("--model.training.weight-decay", "-1"),
        ("--model.training.epochs", "0"),
        ("--model.beam", "5"),
        ("--model.pool.cpus", "nan"),
        ("--model.pool.cpus", "-1"),
        ("--model.pool.cpus", "1e300"),
        ("--model.pool.gpus", "1.5"),
        ("--model.pool.workers", "1000000000"),
        ("--model.batch-size", "0"),
        ("--sequences.seed", "-5"),
        ("--fused.loss.temperature", "nan"),
        ("--codes.tokenizer.num-levels", "1025"),
        ("--codes.tokenizer.codebook-size", "1"),
    ],
    ids=" ".join,
)
def test_nonsense_is_refused_before_anything_runs(words):
    with pytest.raises(ConfigError):
        recipes.configure(recipes.find("demo"), list(words))


def test_baselines_and_cutoffs_are_named_once():
    with pytest.raises(ConfigError, match=r"metrics.baselines: itemknn, itemknn; must name each once"):
        metrics.Config(baselines=("itemknn", "itemknn"))
    with pytest.raises(ConfigError, match=r"metrics.cutoffs: 5, 1, 5; must be different"):
        metrics.Config(cutoffs=(5, 1, 5))


def test_levels_are_as_many_as_one_likes():
    assert plug_in("tokenizers", "rqkmeans")(num_levels=64, codebook_size=1 << 20).sizes == (1 << 20,) * 64
    with pytest.raises(ConfigError, match="rqkmeans.num_levels: is 1025; must be at least 1 and at most 1,024"):
        plug_in("tokenizers", "rqkmeans")(num_levels=1025)


def test_a_part_of_a_recipe_must_be_settings_of_its_stage():
    with pytest.raises(ConfigError, match=r"recipe.model: is None; must be settings of the kind unisid.stages.model"):
        Recipe(model=None)
    with pytest.raises(ConfigError, match=r"model.pool: is 4; must be settings of the kind unisid.compute.Pool"):
        model.Config(pool=4)
    assert Pool(cpus=0.5, gpus=0.25).gpus == 0.25


@pytest.mark.parametrize("noun", ["fused", "codes", "model"])
@pytest.mark.parametrize("others", [(), ("--model.training.epochs", "3", "--codes.training.epochs", "3")])
def test_an_error_of_training_says_whose(noun, others):
    with pytest.raises(ConfigError, match=rf"^{noun}\.training\.learning_rate: is -1\.0; must be above 0"):
        recipes.configure(recipes.find("demo"), [*others, f"--{noun}.training.learning-rate", "-1"])
    with pytest.raises(ConfigError, match=rf"^{noun}\.training\.learning_rate: is -1\.0; must be above 0"):
        override(recipes.find("demo"), f"{noun}.training.learning_rate", -1.0)
