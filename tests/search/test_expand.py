"""What a search may be asked, and how each mistake is refused before anything runs."""

from dataclasses import replace

import pytest

from tests.end_to_end.recipes import tiny
from tests.search.quick_search import launch, made, search
from unisid.artifacts.store import Store
from unisid.backbones import lcrec
from unisid.config import at
from unisid.encoders import transformer
from unisid.errors import ConfigError
from unisid.planning import Recipe
from unisid.search.definition import Stopping
from unisid.search.expand import expand
from unisid.search.space import Space, parse, ready
from unisid.trials.plans import Plans


@pytest.mark.parametrize("name", sorted(ready()))
def test_every_ready_space_fits_the_recipe_of_the_demo(name):
    from jobs.recipes.demo import demo, demo_tiger

    base = demo_tiger() if name == "generation_temperature" else demo()  # of backbones that generate tokens
    found = expand(base, ready()[name](), [1, 2], "model")
    assert len(found) == 2 * len(ready()[name]().points())
    assert len({trial.id for trial in found}) == len(found)


@pytest.mark.parametrize(
    ("name", "keys", "points"),
    [
        ("structure_weight", ("fused.loss.structure_weight",), 6),
        ("balance_temperature", ("fused.loss.structure_weight", "fused.loss.temperature"), 12),
        ("separate_temperatures", ("fused.loss.structure_temperature", "fused.loss.semantic_temperature"), 9),
        ("generation_temperature", ("model.backbone.temperature",), 4),
    ],
)
def test_the_named_spaces_change_what_they_say(name, keys, points):
    """Each point reaches the recipe's own settings, under a fingerprint of its own."""
    from jobs.recipes.demo import demo_tiger

    space = ready()[name]()
    assert tuple(space.dimensions) == keys
    trials = expand(demo_tiger(), space, [1], "model")
    assert len({trial.id for trial in trials}) == len(trials) == points
    for trial in trials:
        assert {key: at(trial.recipe, key) for key in keys} == trial.settings


def test_trials_are_whole_recipes_named_by_their_overrides():
    found = expand(tiny(), parse(["fused.loss.structure_weight=0,0.5"]), [7], "codes")
    assert [trial.settings for trial in found] == [{"fused.loss.structure_weight": v} for v in (0.0, 0.5)]
    assert [trial.recipe.fused.loss.structure_weight for trial in found] == [0.0, 0.5]
    assert all(trial.recipe.name == f"tiny-trial-{trial.id}" for trial in found)
    assert found[1].name == "structure_weight 0.5, seed 7"
    again = expand(tiny(), parse(["fused.loss.structure_weight=0.50"]), [7], "model")
    assert again[0].id != found[1].id, "up to the model its seed is another setting"
    assert expand(tiny(), parse(["fused.loss.structure_weight=0.50"]), [7], "codes")[0].id == found[1].id


def test_seeds_are_those_of_what_the_space_touches_and_feeds():
    recipe = expand(tiny(), parse(["codes.tokenizer.codebook_size=6"]), [7], "model")[0].recipe
    assert recipe.codes.training.seed == recipe.model.training.seed == 7
    assert recipe.fused == tiny().fused
    assert recipe.graph == tiny().graph
    assert recipe.metrics == tiny().metrics
    recipe = expand(tiny(), parse(["embeddings.max_tokens=4"]), [7], "codes")[0].recipe
    assert recipe.fused.training.seed == 7
    assert recipe.graph == tiny().graph
    assert recipe.model == tiny().model


def test_a_plug_in_is_a_dimension_and_its_settings_come_after_it():
    words = ["codes.tokenizer.restarts=1,2", "codes.tokenizer=rqkmeans", "codes.tokenizer.codebook_size=8"]
    found = expand(tiny(), parse(words), [], "codes")
    assert [trial.recipe.codes.tokenizer.restarts for trial in found] == [1, 2]
    assert found[0].settings["codes.tokenizer"] == "rqkmeans"


def test_settings_that_are_right_only_together():
    base = replace(tiny(), fused=replace(tiny().fused, fusion=replace(tiny().fused.fusion, width=6, num_heads=3)))
    for width, heads in ((8, 4), (6, 2), (10, 5)):
        words = [f"fused.fusion.width={width}", f"fused.fusion.num_heads={heads}"]
        assert expand(base, parse(words), [], "codes")[0].recipe.fused.fusion.width == width


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["codes.tokenizer.num_levles=2"], "'tiny' has no such setting; did you mean 'codes.tokenizer.num_levels'"),
        (["codez=2"], "has no such setting"),
        (["fused.loss.structure_weight=high"], "'high' is not of type float"),
        (["codes.tokenizer.num_levels=2.5"], "'2.5' is not of type int"),
        (["fused.loss.structure_weight=0,1.5"], "structure_weight=1.5: .*is 1.5; must be at least 0 and at most 1"),
        (["fused.loss=1"], "is a section of settings; name one of them: .*fused.loss.temperature"),
        (["fused=1"], "is a section of settings"),
        (["fused.fusion=sum"], "no kind 'sum'"),
        (["fused.fusion.kind=concat"], "no such setting"),
        (["fused.pool.workers=1,2"], "says how or where work is done and changes no result"),
        (["name=a,b"], "says how or where work is done and changes no result"),
        (["model.beam=10,20"], "changes no codes, which is what the objectives judge"),
        (["instructions.seed=1"], "has no such setting"),
    ],
)
def test_a_dimension_that_cannot_be_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        expand(tiny(), parse(words), [], "codes")


@pytest.fixture
def weights(tmp_path):
    """Two folders that look like models, and a third that holds the first one's files."""
    for name, held in (("one", b"1"), ("two", b"2"), ("same", b"1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(held)
    return tmp_path


def pretrained(folder) -> Recipe:
    """A recipe that begins with weights from outside twice."""
    base = tiny()
    return replace(
        base,
        embeddings=replace(base.embeddings, encoder=transformer.Config(model=f"{folder}/one")),
        model=replace(base.model, backbone=lcrec.Config(model=f"{folder}/one")),
    )


@pytest.mark.parametrize("key", ["embeddings.encoder.model", "model.backbone.model"])
def test_pretrained_weights_are_a_dimension(weights, place, key):
    found = expand(pretrained(weights), parse([f"{key}={weights}/one,{weights}/two"]), [1], "model")
    assert [at(trial.recipe, key) for trial in found] == [f"{weights}/one", f"{weights}/two"]
    noun = key.partition(".")[0]
    made_of = [{e.noun: e.fingerprint for e in planned} for planned in Plans(found, Store(place))]
    assert made_of[0][noun] != made_of[1][noun]
    assert len(expand(pretrained(weights), parse([f"{key}={weights}/two"]), [], "model")) == 1


def test_a_setting_that_counts_only_beside_another_is_a_dimension(weights):
    words = ["model.backbone.trained=lora", "model.backbone.lora.rank=4,8"]
    found = expand(pretrained(weights), parse(words), [], "model")
    assert [trial.recipe.model.backbone.lora.rank for trial in found] == [4, 8]


def test_runtime_settings_stay_idle_beside_weights(weights):
    words = [f"model.backbone.model={weights}/one,{weights}/two", "model.backbone.gradient_checkpointing=True,False"]
    with pytest.raises(ConfigError, match="'model.backbone.gradient_checkpointing': .* changes no result"):
        expand(pretrained(weights), parse(words), [], "model")


def test_the_same_weights_in_two_places_are_no_dimension(weights):
    with pytest.raises(ConfigError, match="changes no result"):
        expand(pretrained(weights), parse([f"model.backbone.model={weights}/one,{weights}/same"]), [], "model")


def test_seeds_that_say_nothing_are_refused():
    with pytest.raises(ConfigError, match="seeds 1, 1; each may be given once"):
        expand(tiny(), parse(["fused.num_neighbours=3"]), [1, 1], "codes")


def test_trials_that_end_in_one_artifact_are_refused(place):
    found = expand(tiny(), Space({"fused.loss.structure_weight": (0.5, "0.5000")}), [], "codes")
    with pytest.raises(ConfigError, match="make the same codes; leave one of the values out"):
        Plans(found, Store(place))


@pytest.mark.parametrize(
    ("objectives", "watched", "message"),
    [
        (("index",), "ndcg", "judges the model, the trials end with the codes; watch an objective"),
        (("index",), "index", "known when a trial is over, too late"),
        (("ndcg",), "ndcg", "grace 9; must be from 1 to 3"),
    ],
)
def test_stopping_that_stops_nothing_is_refused(place, objectives, watched, message):
    stopping = Stopping(measure=watched, grace=9)
    with pytest.raises(ConfigError, match=message):
        launch(search(["codes.tokenizer.codebook_size=6,8"], objectives=objectives, stopping=stopping), place)
    assert made(place) == {}
