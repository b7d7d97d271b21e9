"""Full-size recipes of language models: they plan where neither data nor hub are at hand, with what the papers say."""

from dataclasses import replace

import pytest

from jobs.recipes import language
from unisid import pipeline, recipes
from unisid.artifacts.store import Place, Store
from unisid.stages import instructions

LCREC = {"lcrec_office_05b": "0.5B", "lcrec_office_15b": "1.5B", "lcrec_office_3b": "3B"}
TSREC = ("tsrec_office", "tsrec_industrial")


@pytest.mark.parametrize("name", [*LCREC, *TSREC])
def test_they_plan_without_data_and_hub(name, tmp_path):
    recipe = recipes.find(name)
    entries = pipeline.plan(recipe, Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    assert ("keywords" in [entry.noun for entry in entries]) == (name in TSREC)
    assert (recipe.model.batch_size, recipe.model.micro_batch, recipe.model.training.zero) == (1024, 16, 1)
    assert recipe.model.pool.workers == 8
    assert recipe.model.training.learning_rate == 3e-4
    assert recipe.model.training.patience == 3


@pytest.mark.parametrize("name", LCREC)
def test_the_theses_five_tasks_are_asked_in_its_words(name):
    recipe = recipes.find(name)
    assert recipe.model.backbone.model == f"Qwen/Qwen2.5-{LCREC[name]}-Instruct"
    assert (recipe.model.backbone.rows, recipe.model.select) == ("library", "loss")
    assert recipe.instructions.prompts("titles_to_title")[0].head == (
        "The user has played the following Office Products before: "
    )
    assert len(recipe.instructions.tasks) == 6
    assert recipe.metrics.beam == 50


@pytest.mark.parametrize("name", TSREC)
def test_ts_rec_is_as_its_paper_says(name):
    recipe = recipes.find(name)
    assert (recipe.codes.tokenizer.kind, recipe.codes.tokenizer.sizes) == ("rqkmeans", (256, 256, 256))
    assert (recipe.model.backbone.rows, recipe.model.backbone.otherwise) == ("keywords", "library")
    assert recipe.instructions.tasks == language.TS_REC
    assert recipe.model.training.epochs == 3


def test_its_parts_can_be_left_out():
    base = recipes.find("demo_llm")
    whole, plain = (
        language.with_token_semantics(base, **given) for given in ({}, {"initialised": False, "aligned": False})
    )
    assert whole.instructions.tasks == ("next", "text_to_token", "token_to_text")
    assert (whole.model.backbone.rows, plain.model.backbone.rows) == ("keywords", "library")
    assert (plain.keywords, plain.instructions.tasks) == (None, ("next",))
    again = language.with_token_semantics(whole, initialised=False, aligned=False)
    assert again == plain
    bare = replace(recipes.find("demo"), instructions=None)
    assert language.with_token_semantics(bare).instructions.tasks[:1] == instructions.Config().tasks[:1]
