"""The recipes of UniGRec and ETEGRec: every number of their papers, planned at full size; their experiments."""

from dataclasses import replace

import pytest
import torch

from jobs.experiments.etegrec import etegrec as etegrec_experiment
from jobs.experiments.unigrec import unigrec as unigrec_experiment
from unisid import pipeline, recipes
from unisid.artifacts.store import Place, Store
from unisid.backbones import tiger
from unisid.backbones.tiger import Config as Tiger
from unisid.baselines import sasrec
from unisid.fusion import single
from unisid.joint import etegrec, unigrec
from unisid.tokenizers import rqvae, soft

FLOW = [
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


def shape(found: tiger.Config) -> tuple[int, ...]:
    return (
        found.num_encoder_layers,
        found.num_decoder_layers,
        found.width,
        found.feedforward_width,
        found.num_heads,
        found.head_width,
    )


def test_unigrec_stage_1():
    found = recipes.find("unigrec_beauty").codes
    assert isinstance(found.tokenizer, soft.Config)
    assert found.tokenizer.widths == (512, 256, 128, 64, 32)
    assert found.tokenizer.sizes == (256, 256, 256)
    assert found.tokenizer.uniformity_weight == 1e-4
    assert (found.tokenizer.first_temperature, found.tokenizer.last_temperature) == (0.01, 0.001)
    assert not found.tokenizer.relative
    assert (found.batch_size, found.training.epochs, found.training.learning_rate) == (1024, 3000, 1e-3)
    assert (found.training.weight_decay, found.training.seed) == (1e-4, 2025)
    assert (found.unique, found.keep) == ("append", "reconstruction")
    steps = -(-12_083 // 1024)
    assert found.tokenizer.anneal_steps == 3000 * steps
    assert found.training.warmup_steps == 50 * steps


def test_unigrec_stages_2_and_3():
    found = recipes.find("unigrec_beauty")
    method, model = found.joint.method, found.model
    assert method == unigrec.Config(
        tokenizer_rate=2e-7,
        reconstruction_weight=0.5,
        tokenizer_distillation=0.01,
        recommender_distillation=0.1,
        contrast_temperature=0.07,
        warm_epochs=10,
    )
    assert isinstance(found.joint.teacher.baseline, sasrec.Config)
    assert found.joint.teacher.baseline.width == 256
    assert shape(model.backbone) == (6, 6, 128, 512, 4, 64)
    assert (model.backbone.dropout, model.batch_size, model.beam) == (0.1, 512, 30)
    training, last = model.training, model.afterwards
    assert (training.epochs, training.patience, training.learning_rate, training.weight_decay) == (200, 15, 5e-3, 0.05)
    assert (training.schedule, training.gradient_clip, training.seed) == ("constant", 1.0, 2025)
    samples = 198_313 - 3 * 22_362  # each user's first interaction is no target, the last two are not trained on
    assert training.warmup_steps == pytest.approx(0.1 * 200 * samples // 512, rel=0.01)
    assert (last.epochs, last.patience, last.learning_rate, last.schedule) == (100, 10, 4e-4, "constant")
    assert found.catalog.published == {"users": 22_362, "items": 12_083, "interactions": 198_313}
    assert (found.catalog.history_length, found.metrics.beam) == (20, 30)


def test_etegrec():
    found = recipes.find("etegrec_scientific")
    tokenizer, model = found.codes.tokenizer, found.model
    assert isinstance(tokenizer, rqvae.Config)
    assert (tokenizer.widths, tokenizer.sizes, tokenizer.beta) == ((512, 256, 128), (256, 256, 256), 0.25)
    assert (found.codes.batch_size, found.codes.training.epochs, found.codes.training.learning_rate) == (
        1024,
        10_000,
        1e-3,
    )
    assert found.joint.method == etegrec.Config(
        tokenizer_rate=1e-4,
        cycle=2,
        alignment_weight=1e-4,
        preference_weight=3e-4,
        contrast_temperature=0.07,
        warm_epochs=10,
    )
    assert found.joint.teacher is None
    assert shape(model.backbone) == (6, 6, 128, 512, 4, 64)
    assert (model.batch_size, model.beam, found.catalog.history_length) == (2048, 20, 50)
    training, last = model.training, model.afterwards
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (5e-3, 0.05, 8000)
    assert (training.schedule, training.validate_every, training.patience) == ("cosine", 2, 15)
    assert (last.learning_rate, last.epochs, last.patience, last.schedule) == (5e-4, 100, 10, "cosine")
    assert isinstance(found.fused.fusion, single.Config)
    assert (found.fused.fusion.modality, found.graph.graph.width) == ("graph", 256)


@pytest.mark.parametrize("name", ["unigrec_beauty", "demo_unigrec", "etegrec_scientific", "demo_etegrec"])
def test_they_plan_without_data_and_hub(name, tmp_path):
    entries = pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    made = [entry.noun for entry in entries]
    unused = {"graph"} if name == "unigrec_beauty" else {"baseline.teacher"} if "etegrec" in name else set()
    if name == "etegrec_scientific":
        unused |= {"embeddings"}
    assert made == [role for role in FLOW if role in made]
    assert set(FLOW) - set(made) <= unused


def test_full_size_has_the_paper_s_shapes():
    """On the meta device, which takes no memory."""
    recipe = recipes.find("unigrec_beauty")
    with torch.device("meta"):
        tokenizer = recipe.codes.tokenizer.build(768)
    linear = [tuple(weight.shape) for name, weight in tokenizer.named_parameters() if weight.dim() == 2]
    assert linear[:5] == [(512, 768), (256, 512), (128, 256), (64, 128), (32, 64)]
    assert tuple(tokenizer.codebooks.shape) == (3, 256, 32)


def test_the_ladder_switches_one_thing_at_a_time():
    """M1 soft histories, M2 both learn, M3 uniformity, M4 CD^T, M5 CD^R, M6 both."""
    rungs = {method.name: method.recipe for method in unigrec_experiment(recipes.find("demo_unigrec")).methods}
    assert list(rungs) == ["m0", "frozen", "m1", "m2", "m3", "m4", "m5", "m6"]
    assert rungs["m0"].joint is rungs["frozen"].joint is None
    assert isinstance(rungs["m0"].codes.tokenizer, rqvae.Config)
    assert isinstance(rungs["m0"].model.backbone, Tiger)
    switches = {
        name: (
            rung.joint.method.tokenizer_rate > 0,
            rung.codes.tokenizer.uniformity_weight > 0,
            rung.joint.method.tokenizer_distillation > 0,
            rung.joint.method.recommender_distillation > 0,
        )
        for name, rung in rungs.items()
        if rung.joint is not None
    }
    assert switches == {
        "m1": (False, False, False, False),
        "m2": (True, False, False, False),
        "m3": (True, True, False, False),
        "m4": (True, True, True, False),
        "m5": (True, True, False, True),
        "m6": (True, True, True, True),
    }
    assert rungs["frozen"].codes == rungs["m6"].codes


def test_etegrec_s_parts():
    parts = {method.name: method.recipe for method in etegrec_experiment(recipes.find("demo_etegrec")).methods}
    weights = {
        name: (part.joint.method.alignment_weight > 0, part.joint.method.preference_weight > 0)
        for name, part in parts.items()
        if part.joint is not None
    }
    assert weights == {
        "neither": (False, False),
        "no-sia": (False, True),
        "no-psa": (True, False),
        "etegrec": (True, True),
    }
    assert parts["frozen"].codes == parts["etegrec"].codes


def test_they_are_made_of_any_dataset_s_recipe():
    for experiment in (unigrec_experiment, etegrec_experiment):
        found = experiment(replace(recipes.find("demo"), instructions=None))
        assert all(isinstance(method.recipe.model.backbone, Tiger) for method in found.methods)
        assert all(method.until == "metrics" for method in found.methods)
