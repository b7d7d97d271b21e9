"""What an experiment asks, and what it refuses."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tests.search.quick_search import quick
from unisid import config as settings
from unisid import recipes
from unisid.baselines import popularity
from unisid.errors import ConfigError
from unisid.experiments.definition import Experiment, Method, Series, cells, find, ready, seeded
from unisid.fusion import concat
from unisid.planning import Recipe
from unisid.stages import baseline, instructions


def popular() -> Recipe:
    return replace(quick(), baseline=baseline.Config(baseline=popularity.Config()))


def asked(**more) -> Experiment:
    methods = (Method("tiger", quick()), Method("popularity", popular()))
    return Experiment(**({"name": "small", "question": "Which?", "methods": methods} | more))


def test_a_method_ends_where_it_is_judged():
    assert Method("a", quick()).until == "metrics"
    assert Method("a", popular()).until == "baseline"
    assert Method("a", quick(), index_alone=True).until == "codes"


def test_cells_are_methods_under_seeds_with_names_of_their_own():
    found = cells(asked(), quick(), [1, 2])
    names = ["quick-tiger-1", "quick-tiger-2", "quick-popularity-1", "quick-popularity-2"]
    assert [trial.recipe.name for trial in found] == names
    assert [trial.until for trial in found] == ["metrics", "metrics", "baseline", "baseline"]


def test_a_seed_is_that_of_all_that_is_learned_and_of_nothing_else():
    before, after = (dict(settings.leaves(recipe)) for recipe in (popular(), seeded(popular(), 7)))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {
        key
        for key in before
        if key.endswith(".seed")
        and not key.startswith(("catalog.", "embeddings.", "metrics."))
        and key != "baseline.seed"
    }
    assert {
        "graph.seed",
        "fused.training.seed",
        "codes.training.seed",
        "model.training.seed",
        "baseline.training.seed",
    } <= changed
    assert all(after[key] == 7 for key in changed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ()}, "experiment small: has no methods"),
        ({"ours": "tigr"}, "'tigr' is none of its methods; did you mean 'tiger'?"),
        ({"methods": (Method("a", quick()), Method("a", quick()))}, "a is named twice; rename one"),
    ],
)
def test_what_an_experiment_refuses(wrong, message):
    with pytest.raises(ConfigError) as error:
        asked(**wrong)
    assert message in str(error.value)


def test_a_name_that_artifacts_cannot_have():
    with pytest.raises(ConfigError, match="method 'my method': must be letters"):
        Method("my method", quick())


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_are_given_once(seeds):
    with pytest.raises(ConfigError, match="give each once, at least one"):
        cells(asked(), quick(), seeds)


def test_some_of_the_methods():
    some = asked(ours="tiger").only(["popularity"])
    assert [method.name for method in some.methods] == ["popularity"]
    assert some.reference == "popularity"
    with pytest.raises(ConfigError, match="has no method 'popularty'; did you mean 'popularity'"):
        asked().only(["popularty"])


def test_an_unknown_experiment_names_the_known_ones():
    with pytest.raises(ConfigError, match="experiment 'mian': not known; did you mean 'main'"):
        find("mian", quick())


@pytest.mark.parametrize("name", sorted(ready()))
def test_ready_experiments_stand_on_any_recipe(name):
    """Every cell has a recipe of its own, and seeds reach it."""
    found = find(name, quick())
    assert found.name == name
    for each in parts(found):
        keep_apart(cells(each, quick(), [1, 2]))


def test_rows_are_called_by_the_fusion_that_makes_their_ids():
    base = recipes.find("demo")
    joined = replace(base, fused=replace(base.fused, fusion=concat.Config()))
    methods = {name: {m.name for m in parts(find(name, joined))[0].methods} for name in ("recommenders", "ablation")}
    assert {"concat-hierarchical", "concat-tiger", "concat-parallel"} <= methods["recommenders"]
    assert methods["ablation"] == {f"{each}-hierarchical" for each in ("text", "graph", "concat", "letter")}
    assert not [name for each in methods.values() for name in each if name.startswith("uqf")]


def parts(found: Experiment | Series) -> list[Experiment]:
    return [chapter.experiment for chapter in found.chapters] if isinstance(found, Series) else [found]


def keep_apart(trials):
    distinct = {settings.fingerprint(settings.to_record(replace(t.recipe, name=""), identity=True)) for t in trials}
    seedless = {"popularity", "itemknn"}
    assert len(distinct) >= len(trials) - len(seedless)


@pytest.mark.parametrize("recipe", ["demo", "beauty", "demo_llm", "office", "production"])
@pytest.mark.parametrize("name", sorted(ready()))
def test_ready_experiments_stand_on_ready_recipes(name, recipe):
    """Whatever the sizes, the levels and the backbone: no method asks for settings that cannot be."""
    base = recipes.find(recipe)
    trials = [trial for each in parts(find(name, base)) for trial in cells(each, base, [1])]
    assert all(trial.recipe.catalog == base.catalog for trial in trials)
    assert all(getattr(trial.recipe, trial.until) is not None for trial in trials)


@pytest.mark.parametrize(
    ("taught", "backbone"), [(("next",), "tiger-llm"), (None, "tiger-llm"), (("next", "title_to_sid"), "lcrec")]
)
def test_a_language_model_that_is_taught_the_first_task_alone_is_called_so(taught, backbone):
    """Without instructions it learns from the sequences, which is the first task too."""
    tasks = None if taught is None else instructions.Config(tasks=taught)
    base = replace(recipes.find("demo_llm"), instructions=tasks)
    names = [f"{source}-{backbone}" for source in ("text", "graph", "concat", "letter", "uqf")]
    found = find("ablation", base)
    assert [method.name for method in found.methods] == names
    assert [method.recipe.metrics.method for method in found.methods] == names
    assert all(method.recipe.model.backbone == base.model.backbone for method in found.methods)
    assert all(method.recipe.instructions == tasks for method in found.methods)


def test_the_experiment_of_the_how_to_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "experiments.md").read_text(encoding="utf-8")
    shown = page.split("## Your own\n")[1].split("    unisid experiment")[0]
    (tmp_path / "mine.py").write_text(textwrap.dedent(shown))
    found = find(f"{tmp_path}/mine.py:beams", recipes.find("demo"))
    assert [method.name for method in found.methods] == ["beam-50", "beam-100"]
