"""A recipe that trains tokenizer and recommender together: its roles, the order of its plan, what stays ordinary."""

from dataclasses import replace

import pytest

from tests.end_to_end.recipes import tiny
from unisid import pipeline, planning
from unisid.artifacts.store import Place, Store
from unisid.config import override
from unisid.errors import ConfigError
from unisid.joint import unigrec
from unisid.planning import found_bases, needed, stage_of
from unisid.recipe_roles import address_of, config_of, key_of, role_of, roles_at, roles_of
from unisid.stages import align, baseline, joint
from unisid.stages.extension import Base
from unisid.stages.flow import ALIGN, STAGES, emission, extension
from unisid.tokenizers import soft

PLAIN = replace(tiny(), codes=replace(tiny().codes, tokenizer=soft.Config(num_levels=3, codebook_size=8)))
TOGETHER = replace(PLAIN, joint=joint.Config(teacher=baseline.Config()))


def test_without_joint_training_there_are_no_further_roles():
    assert roles_of(PLAIN) == [
        "catalog",
        "embeddings",
        "graph",
        "fused",
        "codes",
        "sequences",
        "model",
        "metrics",
    ]
    assert stage_of(PLAIN, "codes") is STAGES["codes"]
    assert stage_of(PLAIN, "model") is STAGES["model"]


def test_what_goes_in_is_made_before():
    order = needed(TOGETHER, "metrics")
    assert order == [
        "catalog",
        "embeddings",
        "graph",
        "fused",
        "codes.first",
        "sequences",
        "baseline.teacher",
        "joint",
        "codes",
        "model",
        "metrics",
    ]
    assert all(order.index(each) < order.index(role) for role in order for each in planning.inputs_of(TOGETHER, role))
    assert stage_of(TOGETHER, "codes.first") is STAGES["codes"]
    assert stage_of(TOGETHER, "codes") is emission("codes")
    assert stage_of(TOGETHER, "model") is emission("model")
    assert str(address_of(TOGETHER, "codes.first")) == "codes/tiny.first/1"


def test_a_setting_is_written_once():
    """The first index has the settings of `codes`, the recommender's are those of `model`, bar what comes after."""
    further = replace(TOGETHER, model=replace(TOGETHER.model, afterwards=TOGETHER.model.training))
    assert config_of(further, "codes.first") is further.codes
    assert config_of(further, "joint").recommender == TOGETHER.model
    assert config_of(further, "baseline.teacher") is further.joint.teacher
    assert (key_of("codes.first"), key_of("baseline.teacher")) == ("codes", "joint.teacher")
    assert role_of("joint.teacher.training.seed") == "baseline.teacher"
    assert role_of("joint.method.tokenizer_rate") == "joint"
    assert roles_at("codes.tokenizer.codebook_size") == ["codes", "codes.first"]


def test_the_first_index_is_that_of_the_recipe_without_joint_training(tmp_path):
    """So the frozen arm of a comparison shares it."""
    store = Store(Place.of(tmp_path))
    plans = [{entry.noun: entry for entry in pipeline.plan(recipe, store)} for recipe in (PLAIN, TOGETHER)]
    assert plans[0]["codes"].fingerprint == plans[1]["codes.first"].fingerprint
    assert plans[0]["codes"].fingerprint != plans[1]["codes"].fingerprint
    assert set(plans[1]["model"].inputs) == {"catalog", "codes", "sequences", "joint"}


def test_an_index_that_is_extended_is_ordinary_again():
    base = Base(fingerprint="f" * 64, address="codes/old/1", place="/nowhere")
    further = replace(TOGETHER, codes=replace(TOGETHER.codes, base=base))
    assert stage_of(further, "codes") is extension("codes")
    assert stage_of(further, "model") is STAGES["model"]
    assert "joint" not in roles_of(further)


def test_a_teacher_by_its_address_is_no_part_of_the_flow(tmp_path):
    there = replace(TOGETHER, joint=joint.Config(teacher_at=Base(fingerprint="f", address="baseline/a/1", place="/a")))
    assert "baseline.teacher" not in needed(there, "metrics")
    assert joint.sources(config_of(there, "joint")) == {"teacher": {"address": "baseline/a/1", "fingerprint": "f"}}
    lost = override(TOGETHER, "joint.teacher_at", "baseline/lost/1")
    with pytest.raises(Exception, match="baseline/lost/1"):
        found_bases(lost, Store(Place.of(tmp_path)))


def test_a_plan_refuses_a_tokenizer_that_the_method_cannot_train(tmp_path):
    other = replace(TOGETHER, codes=tiny().codes)
    with pytest.raises(ConfigError, match=r"codes.tokenizer: 'rqkmeans' cannot be trained .* must be soft"):
        pipeline.plan(other, Store(Place.of(tmp_path)))


def test_a_recipe_that_aligns_begins_with_the_model_of_the_recipe_that_does_not(tmp_path):
    """So all arms of a comparison share one supervised recommender."""
    whole = replace(PLAIN, align=align.Config())
    assert needed(whole, "metrics")[-3:] == ["model.first", "model", "metrics"]
    assert stage_of(whole, "model.first") is STAGES["model"]
    assert stage_of(whole, "model") is ALIGN
    assert config_of(whole, "model.first") is whole.model
    assert config_of(whole, "model").recommender == whole.model
    assert (key_of("model.first", whole), key_of("model", whole), key_of("model", PLAIN)) == ("model", "align", "model")
    assert role_of("align.training.seed") == "model"
    assert "model.first" in roles_at("model.training.seed")
    store = Store(Place.of(tmp_path))
    plans = [{entry.noun: entry for entry in pipeline.plan(recipe, store)} for recipe in (PLAIN, whole)]
    assert plans[0]["model"].fingerprint == plans[1]["model.first"].fingerprint
    assert plans[0]["model"].fingerprint != plans[1]["model"].fingerprint
    assert set(plans[1]["model"].inputs) == {"catalog", "codes", "sequences", "model.first"}
    assert plans[1]["metrics"].inputs["model"]["fingerprint"] == plans[1]["model"].fingerprint


def test_what_was_trained_together_may_be_aligned_after():
    both = replace(TOGETHER, align=align.Config())
    assert needed(both, "metrics")[-5:] == ["joint", "codes", "model.first", "model", "metrics"]
    assert stage_of(both, "model.first") is emission("model")
    assert stage_of(both, "codes") is emission("codes")
    assert stage_of(both, "model") is ALIGN


def test_a_model_to_align_by_its_address_is_no_part_of_the_flow(tmp_path):
    there = replace(PLAIN, align=align.Config(starts_from=Base(fingerprint="f", address="model/a/1", place="/a")))
    assert "model.first" not in needed(there, "metrics")
    lost = override(replace(PLAIN, align=align.Config()), "align.starts_from", "model/lost/1")
    with pytest.raises(Exception, match="model/lost/1"):
        found_bases(lost, Store(Place.of(tmp_path)))


def test_a_method_s_own_settings_are_its_identity():
    one = replace(TOGETHER, joint=replace(TOGETHER.joint, method=unigrec.Config(tokenizer_rate=0.1)))
    assert config_of(one, "joint") != config_of(TOGETHER, "joint")
