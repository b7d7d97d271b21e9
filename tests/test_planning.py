"""Plans: the roles of a recipe in order, who makes each, what is shared between recipes, and what is refused."""

from dataclasses import replace

import pytest

from unisid import stages
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Store
from unisid.baselines import popularity
from unisid.errors import ConfigError, DriftError
from unisid.exchange.given import Given
from unisid.joint import etegrec
from unisid.planning import Recipe, inputs_of, look_again, missing, needed, plan, refuse_drift, stage_of
from unisid.stages import align, joint
from unisid.stages.codes import emitted, extend, given
from unisid.stages.extension import Base
from unisid.stages.flow import STAGES
from unisid.tokenizers import rqkmeans

TOGETHER = joint.Config(method=etegrec.Config())
RECIPE = Recipe(name="a", modalities={"image": stages.embeddings.Config()})


@pytest.fixture
def store(place) -> Store:
    return Store(place)


def entries(recipe, store, until="model"):
    return {entry.noun: entry for entry in plan(recipe, store, until)}


def complete(store, entry) -> None:
    """Write what the store needs to count an artifact as there."""
    place = store.place(entry.address)
    record = Record(address=str(entry.address), config=entry.config, inputs=entry.inputs, counts={"items": 50})
    write_record(place, record)


def test_roles_come_after_what_goes_into_them():
    order = needed(RECIPE, "metrics")
    assert order[0] == "catalog"
    assert order[-1] == "metrics"
    assert "embeddings.image" in order
    for role in order:
        assert {*inputs_of(RECIPE, role)} <= {*order[: order.index(role)]}
    assert needed(RECIPE, "sequences") == ["catalog", "sequences"]
    assert needed(RECIPE, "graph") == ["catalog", "graph"]


def test_every_modality_goes_into_the_fusion_and_absent_nouns_nowhere():
    assert inputs_of(RECIPE, "fused") == ["catalog", "embeddings", "embeddings.image", "graph"]
    assert inputs_of(replace(RECIPE, modalities={}), "fused") == ["catalog", "embeddings", "graph"]
    assert inputs_of(RECIPE, "baseline") == []
    baseline = replace(RECIPE, baseline=stages.baseline.Config(baseline=popularity.Config()))
    assert inputs_of(baseline, "metrics") == [*inputs_of(RECIPE, "metrics"), "baseline"]


def test_who_makes_a_role_follows_from_the_settings():
    extended = replace(RECIPE, codes=replace(RECIPE.codes, base=Base(address="codes/a/1")))
    assert stage_of(RECIPE, "codes") is STAGES["codes"]
    assert stage_of(RECIPE, "embeddings.image") is STAGES["embeddings"]
    assert stage_of(extended, "codes") is extend
    assert stage_of(replace(RECIPE, codes=replace(RECIPE.codes, given=Given(path="ids.csv"))), "codes") is given
    assert stage_of(replace(RECIPE, align=align.Config()), "model") is align
    together = replace(RECIPE, joint=TOGETHER)
    assert stage_of(together, "codes") is emitted
    assert stage_of(replace(together, codes=extended.codes), "codes") is extend


def test_another_codebook_shares_the_sequences_and_all_before_the_codes(store):
    """Sequences hold items, so a change of codes under another name makes codes and model alone."""
    first = entries(RECIPE, store)
    for noun in ("embeddings", "embeddings.image", "graph", "fused", "sequences"):
        complete(store, first[noun])
    tokenizer = rqkmeans.Config(codebook_size=8)
    other = entries(replace(RECIPE, name="b", codes=replace(RECIPE.codes, tokenizer=tokenizer)), store)
    states = {noun: entry.state for noun, entry in other.items()}
    assert states["sequences"] == states["fused"] == "shared"
    assert other["sequences"].address == first["sequences"].address
    assert (states["codes"], states["model"]) == ("to make", "to make")
    assert other["codes"].fingerprint != first["codes"].fingerprint
    assert [entry.noun for entry in missing([*other.values()])] == ["catalog", "codes", "model"]


def test_another_window_is_drift_of_the_sequences_and_leaves_the_codes(store):
    first = entries(RECIPE, store)
    for noun in ("sequences", "codes"):
        complete(store, first[noun])
    changed = entries(replace(RECIPE, sequences=replace(RECIPE.sequences, sliding_window=False)), store)
    assert {changed[noun].state for noun in ("codes", "sequences")} == {"complete", "drift"}
    assert changed["sequences"].difference == ("sliding_window: True -> False",)
    with pytest.raises(DriftError, match=r"sequences/a/1: was made from .*\n    sliding_window: True -> False"):
        refuse_drift([*changed.values()])


def test_a_plan_is_looked_at_again_without_its_sources(store):
    before = plan(RECIPE, store, "sequences")
    assert [entry.state for entry in before] == ["to make", "to make"]
    complete(store, before[1])
    after = look_again(before, store)
    assert [entry.state for entry in after] == ["to make", "complete"]
    assert [entry.fingerprint for entry in after] == [entry.fingerprint for entry in before]


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("sequence", r"no stage 'sequence'; did you mean 'sequences'\?; known: catalog, "),
        ("keywords", r"recipe 'a': has no keywords; give it settings: keywords=keywords.Config\(\)"),
        ("embeddings.sound", r"no stage 'embeddings.sound'"),
    ],
)
def test_a_stage_that_a_recipe_lacks_is_refused(store, until, message):
    with pytest.raises(ConfigError, match=message):
        plan(RECIPE, store, until)


def test_nothing_goes_on_from_itself(store):
    itself = replace(RECIPE, codes=replace(RECIPE.codes, base=Base(address="codes/a/1")))
    with pytest.raises(ConfigError, match=r"codes.base: codes/a/1 is the codes that this recipe makes; give the run"):
        plan(itself, store, "codes")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda: {"modalities": {"text": stages.embeddings.Config()}}, "recipe.modalities: has the name 'text'"),
        (
            lambda: {"joint": TOGETHER, "codes": stages.codes.Config(given=Given(path="ids.csv"))},
            "recipe.joint: trains a tokenizer, and codes.given has ids without one; leave one out",
        ),
    ],
)
def test_parts_of_a_recipe_that_do_not_go_together(parts, message):
    with pytest.raises(ConfigError, match=message):
        Recipe(**parts())
