"""Systems that unify text and behaviour, early (UNGER) or late (EAGER), beside their parts, of any dataset's recipe."""

from dataclasses import replace

from jobs.recipes.eager import two_streams
from jobs.recipes.eager import without as alone
from jobs.recipes.unger import unified, without
from unisid.experiments.definition import Experiment, Method
from unisid.fusion import single
from unisid.fusion import unger as first
from unisid.planning import Recipe


def unger(base: Recipe) -> Experiment:
    """UNGER's tables 7 and 8: text alone, behaviour alone, both side by side, aligned, aligned and distilled."""
    whole = unified(base)
    bare = without(whole, "distillation")
    parts = {
        "unger": whole,
        "unger-no-distillation": bare,
        "unger-no-alignment": without(whole, "alignment"),
        "unger-joined": _fused(without(bare, "alignment"), vector="joined"),
        "unger-behaviour": without(bare, "alignment"),
        "unger-text": replace(bare, fused=replace(bare.fused, fusion=single.Config(modality="text"))),
    }
    return Experiment(
        name="unger",
        question="Does one code from aligned vectors, with distillation, beat codes of its parts?",
        methods=tuple(Method(name, named(recipe, name)) for name, recipe in parts.items()),
        ours="unger",
    )


def eager(base: Recipe) -> Experiment:
    """EAGER and its parts, each taken away; and UNGER, which fuses early what EAGER fuses late."""
    whole = two_streams(base)
    parts = {
        "eager": whole,
        "eager-no-transfer": alone(whole, "transfer"),
        "eager-no-contrast": alone(whole, "contrast"),
        "eager-bare": alone(whole, "contrast", "transfer"),
        "unger": unified(base),
    }
    return Experiment(
        name="eager",
        question="Do two streams over two indexes beat one code, and what do their parts give?",
        methods=tuple(Method(name, named(recipe, name)) for name, recipe in parts.items()),
        ours="eager",
    )


def named(recipe: Recipe, name: str) -> Recipe:
    """The recipe as a row of a table: its recommender alone."""
    return replace(recipe, baseline=None, metrics=replace(recipe.metrics, method=name, baselines=()))


def _fused(recipe: Recipe, **settings: object) -> Recipe:
    """The recipe with other settings of UNGER's fusion."""
    fusion = recipe.fused.fusion
    assert isinstance(fusion, first.Config)
    return replace(recipe, fused=replace(recipe.fused, fusion=replace(fusion, **settings)))  # type: ignore[arg-type]
