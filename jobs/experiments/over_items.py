"""What each part of the recommender over items is worth: the base's own, and the same with one thing changed."""

from dataclasses import replace

from jobs.recipes.recommenders import over_items
from unisid.backbones import hierarchical
from unisid.experiments.definition import Experiment, Method
from unisid.planning import Recipe
from unisid.trials.trial import override

LEVELS = (2, 4)
"""Levels of semantic ids, beside the base's own."""
TIMES = (0.5, 2.0)
"""Codes of a level, by those of the base."""


def parts(base: Recipe) -> Experiment:
    """The recommender over items without each of its parts, of other sizes, and on other semantic ids."""
    own = base.model.backbone
    config = base.model if isinstance(own, hierarchical.Config) else over_items(hierarchical.Config(), base.model.pool)
    shape = config.backbone
    assert isinstance(shape, hierarchical.Config)
    whole = replace(base, baseline=None, instructions=None, model=config)
    changed = {
        "whole": shape,
        "no-own-vectors": replace(shape, dense=False),
        "no-content": replace(shape, content=()),
        "no-repeat-term": replace(shape, repeat=False),
        "no-memory": replace(shape, memory=None),
        "ids-alone": replace(shape, dense=False, content=(), memory=None),
        "dropout-0": replace(shape, dropout=0.0),
        "dropout-0.5": replace(shape, dropout=0.5),
        "half-as-wide": replace(shape, width=shape.width // 2),
        "twice-as-wide": replace(shape, width=shape.width * 2),
        "one-block": replace(shape, num_layers=1),
        "four-blocks": replace(shape, num_layers=4),
        "cosines": replace(shape, temperature=0.07),
        "whole-codebook": replace(shape, softmax="codebook"),
        "one-target-a-sample": replace(shape, targets="one"),
    }
    methods = [_named(replace(whole, model=replace(config, backbone=each)), name) for name, each in changed.items()]
    deeper = {f"levels-{levels}": override(whole, {"codes.tokenizer.num_levels": levels}) for levels in LEVELS}
    own_size = base.codes.tokenizer.codebook_size
    wider = {
        f"codes-{size}": override(whole, {"codes.tokenizer.codebook_size": size})
        for size in (round(own_size * times) for times in TIMES)
    }
    methods += [_named(recipe, name) for name, recipe in (deeper | wider).items()]
    return Experiment(
        name="parts",
        question="What is each part of the recommender over items worth?",
        methods=tuple(methods),
        ours="whole",
    )


def _named(recipe: Recipe, name: str) -> Method:
    return Method(name, replace(recipe, metrics=replace(recipe.metrics, method=name, baselines=())))
