"""Recipes by name, and words that become their settings."""

import pytest

from unisid import recipes
from unisid.api import flows
from unisid.errors import ConfigError
from unisid.experiments import definition
from unisid.planning import Recipe


def test_ready_recipes_are_those_that_need_nothing():
    """Parts of recipes, which take one and return one, lie in the same modules."""
    found = recipes.ready()
    assert {"demo", "shop", "beauty", "demo_parallel"} <= set(found)
    assert not {"by_retrieval", "in_parallel"} & set(found)
    assert all(isinstance(make(), Recipe) for make in found.values())
    with pytest.raises(ConfigError, match="recipe 'by_retrieval': not known"):
        recipes.find("by_retrieval")
    assert "main" in definition.ready()


ODD = [
    ["--model.backbone"],
    ["--model.backbone="],
    ["--model", "5"],
    ["--"],
    ["-x"],
    ["x"],
    ["--="],
    ["@file"],
    [""],
    ["--model.training.epochs"],
    ["--model.training.epochs", "abc"],
    ["--model.training.epochs", "1e3"],
    ["--model.backbone", "../x"],
    ["--model.backbone", "tiger\0"],
    ["--instructions", "None"],
    ["--metrics.cutoffs", "a"],
    ["--model.beam", "9" * 5000],
    ["--model.training.zero", "7"],
    ["--catalog.title-rules", "maybe"],
    ["--fused.fusion", "single", "--fused.fusion.num-queries", "1"],
    ["--model.backbone.kind", "lcrec"],
]


@pytest.mark.parametrize("words", ODD, ids=lambda words: " ".join(words)[:40])
def test_odd_words_are_refused_in_words(words, capsys):
    """By one of our errors, or by the parser's own explanation and exit code 2."""
    with pytest.raises((ConfigError, SystemExit)) as refused:
        recipes.configure(recipes.find("demo"), words)
    if refused.type is SystemExit:
        assert refused.value.code == 2
        assert capsys.readouterr().err.strip()


def test_a_note_about_one_dataset_is_not_said_of_another():
    demo = recipes.find("demo")
    assert "MovieLens" in demo.note
    for words in ([], ["--catalog.dataset.path", "elsewhere"], ["--model.training.epochs", "1"]):
        assert recipes.configure(demo, words).note == demo.note
    for words in (["--catalog.dataset", "synthetic"], ["--catalog.dataset.name", "ml-1m"]):
        assert recipes.configure(demo, words).note == ""
    assert flows.configured("demo", {"catalog.dataset": "synthetic"}).note == ""
    assert recipes.configure(demo, ["--catalog.dataset", "synthetic", "--note", "planted"]).note == "planted"


def test_settings_are_dotted_words_and_a_plug_in_takes_its_kind():
    words = ["--codes.tokenizer", "rqkmeans", "--codes.tokenizer.num-levels=5", "--fused.num-neighbours", "7"]
    found = recipes.configure(recipes.find("demo"), words)
    assert (found.codes.tokenizer.kind, found.codes.tokenizer.num_levels, found.fused.num_neighbours) == (
        "rqkmeans",
        5,
        7,
    )
    assert recipes.configure(recipes.find("demo"), []) == recipes.find("demo")


def test_what_follows_a_mapping_of_numbers_is_an_entrys_own_name():
    found = recipes.configure(recipes.find("demo"), ["--catalog.event-weights.add-to.cart=0.25"])
    assert dict(found.catalog.event_weights) == {"add-to.cart": 0.25}


def test_a_mistyped_word_is_named_with_what_it_may_mean():
    with pytest.raises(
        ConfigError, match=r"recipe 'demo': no setting '--codes.batch_sise'; did you mean 'codes.batch_"
    ):
        recipes.configure(recipes.find("demo"), ["--codes.batch-sise", "3"])
    with pytest.raises(ConfigError, match=r"no setting '--quite'; did you mean 'quiet'"):
        recipes.configure(recipes.find("demo"), ["--quite"], own=["quiet"])
    with pytest.raises(ConfigError, match=r"codes.batch_size"):
        recipes.configure(recipes.find("demo"), ["--codes.batch-size", "0"])
