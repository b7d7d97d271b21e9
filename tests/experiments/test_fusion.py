"""The experiment on the parts of the fusion: one change a row, and run small without a recommender."""

import json
from dataclasses import replace

import pytest

from jobs.experiments.fusion import alike, fusion, fusion_ids, fusion_own, fusion_whole
from tests.end_to_end.recipes import tiny
from tests.search.quick_search import quick
from unisid import config as settings
from unisid.artifacts.store import Place, Store
from unisid.experiments.run import run
from unisid.fusion import uqf
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import InTurn
from unisid.stages import instructions
from unisid.tokenizers import balanced
from unisid.trials.telling import NullExperimentTracker

STEPS = ("steps", "joined", "joined-steps", "uqf-taught", "uqf-joined-steps")
WHOLE = ("shrinkage", *STEPS)
PLAIN = ("text", "graph", "concat", "letter", "uqf", *WHOLE)


def test_every_part_is_changed_by_itself():
    """Each row but the plain ones differs from UQF in one setting of the fused stage."""
    rows = {method.name: dict(settings.leaves(method.recipe)) for method in fusion(tiny()).methods}
    own = rows["uqf"]
    for name in rows.keys() - set(PLAIN):
        changed = [key for key in own if rows[name][key] != own[key]]
        assert len(changed) == 1, name
        assert changed[0].startswith("fused."), name
    assert {"gate-half", "gate-none", "order-text_first", "graph-mean", "graph-last", "text-mean"} <= rows.keys()
    assert {"queries-1", "queries-32", "no-reconstruction", "structure-alone", "semantic-alone"} <= rows.keys()
    assert {"modality-dropout-0", "modality-dropout-0.5", "start-concat"} <= rows.keys()
    assert {"taught-by-steps", "shared-users-by-cosine"} <= rows.keys()
    assert "queries-4" not in rows  # the base has them already


def test_no_recommender_is_trained_and_only_letter_has_a_tokenizer_of_its_own():
    found = fusion(tiny()).methods
    assert all(method.until == "codes" for method in found)
    assert {method.recipe.codes.tokenizer.kind for method in found if method.name != "letter"} == {"rqkmeans"}
    assert next(method for method in found if method.name == "letter").recipe.codes.tokenizer.kind == "letter"


def test_balanced_codes_stay_the_bases_own():
    base = tiny()
    size = base.codes.tokenizer.codebook_size
    own = balanced.Config(num_levels=3, codebook_size=size, equal="interactions")
    found = fusion_ids(replace(base, codes=replace(base.codes, tokenizer=own))).methods
    assert {method.recipe.codes.tokenizer for method in found if method.name != "letter-ids"} == {own}


def test_steps_are_a_modality_of_the_rows_that_name_them_and_of_no_other():
    rows = {method.name: method.recipe for method in fusion(tiny()).methods}
    having = {name for name, recipe in rows.items() if "steps" in recipe.modalities}
    assert having == {"steps", "joined-steps", "uqf-joined-steps"}
    assert {name for name, recipe in rows.items() if recipe.codes.scale == "whole"} == set(WHOLE)


def test_vectors_are_compared_as_a_relation_of_items():
    found = {method.name: method for method in alike(tiny()).methods}
    assert set(found) == {"text", "graph", "concat", "uqf", *WHOLE}
    assert all(method.until == "baseline" for method in found.values())
    memories = [method.recipe.baseline.baseline.memory for method in found.values()]
    assert all(memory.alike == ("fused",) and memory.words for memory in memories)


def test_one_recommender_reads_the_codes_of_every_source_alone_or_with_all_else():
    alone, whole = fusion_ids(tiny()), fusion_whole(tiny())
    for found, form in ((alone, "ids"), (whole, "whole")):
        assert {method.name for method in found.methods} == {f"{name}-{form}" for name in PLAIN}
        assert all(method.until == "metrics" for method in found.methods)
        assert len({str(settings.to_record(method.recipe.model)) for method in found.methods}) == 1
        assert found.reference == f"uqf-{form}"
    backbones = [found.methods[0].recipe.model.backbone for found in (alone, whole)]
    assert [(each.dense, each.content, each.memory is None) for each in backbones] == [
        (False, (), True),
        (True, ("embeddings", "graph"), False),
    ]
    codes = [{m.name.rpartition("-")[0]: m.recipe.codes for m in found.methods} for found in (alone, whole)]
    assert codes[0] == codes[1]


def test_the_bases_own_recommender_reads_the_codes_of_every_source():
    base = tiny()
    found = fusion_own(base)
    assert {method.name for method in found.methods} == {f"{name}-own" for name in PLAIN}
    assert all(method.recipe.model == base.model for method in found.methods)
    taught = replace(base, instructions=instructions.Config())
    assert all(method.recipe.instructions == taught.instructions for method in fusion_own(taught).methods)
    assert all(method.recipe.instructions is None for method in fusion_whole(taught).methods)


def test_a_base_that_does_not_fuse_gets_a_small_uqf():
    own = next(method for method in fusion(quick()).methods if method.name == "uqf").recipe.fused.fusion
    assert isinstance(own, uqf.Config)
    assert own.width == 128


@pytest.mark.slow
def test_some_of_its_rows_run_small(tmp_path):
    experiment = fusion(tiny()).only(["concat", "uqf", "joined-steps", "uqf-joined-steps"])
    said: list[str] = []
    store = Store(Place.of(tmp_path))
    folder = run(experiment, tiny(), [1], store, LocalCompute(), InTurn(), NullExperimentTracker(), said.append)
    found = json.loads(folder.read("results.json"))["indexes"]
    assert set(found) == {f"tiny-{name}-1" for name in ("concat", "uqf", "joined-steps", "uqf-joined-steps")}
    assert found["tiny-concat-1"]["structure learned"] is None
    assert isinstance(found["tiny-uqf-1"]["structure learned"], float)
    for figures in found.values():
        shares = ("next by prefix", "next by vector", "text near", "graph near", "gini")
        assert all(0 <= figures[name] <= 1 for name in shares)
    assert "indexes.png" in folder.sizes()
