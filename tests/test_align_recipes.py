"""MiniOneRec's and OneRec's recipes at full size, and the experiment on objectives: planned, nothing is trained."""

from dataclasses import replace

import pytest

from jobs.experiments.align import CONTROL
from jobs.experiments.align import align as experiment
from unisid import pipeline, recipes
from unisid.alignment import grpo, ipa, sdpo, sft
from unisid.artifacts.store import Place, Store
from unisid.backbones import lcrec, tiger
from unisid.errors import ArtifactError
from unisid.experiments.definition import cells
from unisid.stages import align
from unisid.stages.extension import Base
from unisid.tokenizers import balanced

OFFICE = ("minionerec_office", "minionerec_office_next", "minionerec_office_sft", "minionerec_office_described")
FULL = ("minionerec_industrial", *OFFICE, "onerec_beauty")


@pytest.mark.parametrize("name", [*FULL, "demo_align", "demo_align_hierarchical", "demo_onerec"])
def test_they_plan_without_data_and_hub(name, tmp_path):
    entries = pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    roles = [entry.noun for entry in entries]
    assert roles[-2:] == ["model", "metrics"]
    assert ("model.first" in roles) == (not name.endswith("_sft"))


@pytest.mark.parametrize("name", ["minionerec_industrial", "minionerec_office"])
def test_minionerec_has_the_numbers_of_the_paper_and_the_released_code(name):
    recipe = recipes.find(name)
    assert (recipe.catalog.protocol, recipe.catalog.history_length) == ("temporal", 10)
    assert recipe.embeddings.encoder.model == "Qwen/Qwen3-Embedding-4B"
    assert recipe.codes.tokenizer.sizes == (256, 256, 256)
    assert (recipe.codes.batch_size, recipe.codes.training.epochs, recipe.codes.training.learning_rate) == (
        20_480,
        10_000,
        1e-3,
    )
    assert recipe.instructions is not None
    assert set(recipe.instructions.mix.values()) == {1.0}
    assert len(recipe.instructions.tasks) == 6
    own = recipe.model
    assert isinstance(own.backbone, lcrec.Config)
    assert (own.backbone.model, own.backbone.max_tokens) == ("Qwen/Qwen2.5-1.5B-Instruct", 512)
    assert (own.batch_size, own.training.learning_rate, own.training.warmup_steps) == (1024, 3e-4, 20)
    assert (own.training.epochs, own.training.patience) == (10, 3)
    aligned = recipe.align
    assert isinstance(aligned, align.Config)
    assert aligned.objective == grpo.Config(rule=1.0, rank=1.0, beta=1e-3)
    assert (aligned.rollout, aligned.answers, aligned.batch_size) == ("beam", 16, 64)
    training = aligned.training
    assert (training.learning_rate, training.gradient_clip, training.epochs, training.schedule) == (
        1e-5,
        0.3,
        2,
        "cosine",
    )
    assert recipe.metrics.beam == 50


def test_the_arm_without_grpo_is_where_the_other_begins(tmp_path):
    store = Store(Place.of(tmp_path))
    found = [pipeline.plan(recipes.find(name), store, without_data=True) for name in (OFFICE[0], OFFICE[2])]
    plans = [{entry.noun: entry.fingerprint for entry in entries} for entries in found]
    assert plans[0]["model.first"] == plans[1]["model"]


def test_the_paper_names_more_tasks_than_the_released_code_has():
    recipe = recipes.find("minionerec_office_described")
    assert recipe.instructions is not None
    assert set(recipe.instructions.tasks) - set(recipes.find("minionerec_office").instructions.tasks) == {
        "description_to_sid",
        "sid_to_description",
    }
    assert set(recipe.instructions.mix.values()) == {1.0}


def test_onerec_prefers_what_was_taken_under_balanced_ids():
    recipe = recipes.find("onerec_beauty")
    assert isinstance(recipe.codes.tokenizer, balanced.Config)
    assert isinstance(recipe.model.backbone, tiger.Config)
    assert recipe.align is not None
    assert recipe.align.objective == sdpo.Config(beta=0.1, supervised=1.0)


def test_onerecs_own_preference_asks_a_model_that_is_run_first(tmp_path):
    store = Store(Place.of(tmp_path))
    recipe, judge = recipes.find("demo_onerec_ipa"), recipes.find("demo_onerec_reward")
    assert (recipe.align.objective, recipe.align.reward) == (ipa.Config(), Base.parse("model/demo-onerec-reward/1"))
    plans = [
        {entry.noun: entry.fingerprint for entry in pipeline.plan(each, store, without_data=True)}
        for each in (judge, recipes.find("demo_onerec"))
    ]
    assert plans[0]["codes"] == plans[1]["codes"]
    with pytest.raises(ArtifactError, match="model/demo-onerec-reward/1"):
        pipeline.plan(recipe, store, without_data=True)


def test_all_arms_have_one_recommender_and_index_whatever_the_seed(tmp_path):
    base = recipes.find("demo_align")
    store, found = Store(Place.of(tmp_path)), experiment(base)
    trials = cells(found, base, [1, 2])
    plans = [{e.noun: e for e in pipeline.plan(trial.recipe, store, without_data=True)} for trial in trials]
    starts = {plan["model.first" if "model.first" in plan else "model"].fingerprint for plan in plans}
    assert len(starts) == 1
    models = {plan["model"].fingerprint for plan in plans}
    assert len(models) == 1 + 2 * (len(found.methods) - 1)  # where it begins has no seed of its own
    assert found.reference == CONTROL
    control = {method.name: method.recipe for method in found.methods}[CONTROL].align
    for method in found.methods:
        arm = method.recipe.align
        if arm is not None:
            same = replace(arm, objective=sft.Config(), rollout="beam")
            assert same == control  # prompts, steps and rate
            assert not arm.keeps_start
            assert arm.training.validate_every == arm.training.epochs
