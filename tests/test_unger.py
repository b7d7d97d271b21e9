"""UNGER's recipes: every number of the paper's settings, planned at full size."""

import pytest
import torch

from tests.test_thesis import leaves
from unisid import pipeline, recipes
from unisid.artifacts.store import Place, Store
from unisid.backbones import unger as second
from unisid.config import to_record
from unisid.encoders import transformer
from unisid.experiments.definition import find
from unisid.fusion import unger as first
from unisid.tokenizers import rqkmeans

PAPER = ("unger_beauty", "unger_sports", "unger_toys")


@pytest.mark.parametrize("name", PAPER)
def test_section_4_1_and_table_4(name):
    recipe = recipes.find(name)
    assert (recipe.catalog.protocol, recipe.catalog.k_core, recipe.catalog.history_length) == ("leave-one-out", 5, 20)
    assert isinstance(recipe.embeddings.encoder, transformer.Config)
    assert recipe.embeddings.encoder.model == "meta-llama/Llama-2-7b-hf"
    shape, learning = recipe.fused.fusion, recipe.fused.training
    assert isinstance(shape, first.Config)
    assert (shape.width, shape.sequence, shape.alpha, shape.temperature) == (96, "din", 1.0, 1.0)
    assert (shape.vector, shape.num_negatives) == ("behaviour", 60)
    assert (learning.learning_rate, learning.weight_decay, learning.warmup_steps) == (1e-3, 1e-7, 2000)
    quantizer = recipe.codes.tokenizer
    assert isinstance(quantizer, rqkmeans.Config)
    assert (quantizer.num_levels, quantizer.codebook_size, recipe.codes.scale) == (4, 256, "whole")
    backbone, training = recipe.model.backbone, recipe.model.training
    assert isinstance(backbone, second.Config)
    t5 = backbone.decoder
    assert (t5.num_encoder_layers, t5.num_decoder_layers, t5.num_heads) == (1, 4, 6)
    assert (t5.width, t5.head_width, t5.feedforward_width, t5.dropout) == (96, 16, 256, 0.0)
    assert (backbone.distillation_weight, backbone.temperature, backbone.num_negatives) == (1.0, 0.3, 2048)
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (1e-3, 1e-7, 2000)
    assert training.schedule == "inverse_square_root"
    assert recipe.model.batch_size == 256
    assert training.epochs * recipe.model.samples_per_epoch == 20_000 * 256
    assert training.patience == training.epochs
    assert recipe.metrics.beam == 100
    assert recipe.instructions is None


@pytest.mark.parametrize("name", PAPER)
def test_the_seed_is_2024_in_all_that_the_paper_learns(name):
    recipe = recipes.find(name)
    found = {key: value for key, value in leaves(to_record(recipe)) if key.endswith("training.seed")}
    assert {found[f".{noun}.training.seed"] for noun in ("fused", "codes", "model")} == {2024}


@pytest.mark.parametrize("name", PAPER)
def test_they_plan_without_data_and_hub(name, tmp_path):
    entries = pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    nouns = ["catalog", "embeddings", "graph", "fused", "codes", "sequences", "model", "metrics"]
    assert [entry.noun for entry in entries] == nouns
    assert set(next(entry for entry in entries if entry.noun == "model").inputs) == {
        "catalog",
        "codes",
        "sequences",
        "fused",
    }


def test_full_size_has_the_papers_shapes():
    """On the meta device: DIN over 20 items, the adaption layer from Llama's width, an item table of 12,101 rows."""
    fusion = recipes.find("unger_beauty").fused.fusion
    with torch.device("meta"):
        made = fusion.build({"text": 4096, "graph": 256})
    made.begin(torch.ones(12_101, dtype=torch.bool), 20)
    shapes = {name: tuple(weight.shape) for name, weight in made.named_parameters()}
    assert shapes["items"] == (12_101, 96)
    assert shapes["adapt.weight"] == (96, 4096)
    assert shapes["norm.conditions.weight"] == (192, 96)
    assert shapes["sequence.of_product"] == (96, 64)
    assert shapes["sequence.weigh.1.weight"] == (16, 64)
    assert shapes["sequence.score.0.weight"] == (200, 9 * 96)  # eight stretches of 20 items, and the candidate
    assert shapes["sequence.score.3.weight"] == (80, 200)


def test_the_ablations_take_away_one_part_after_the_other():
    base = recipes.find("demo")
    rows = {method.name: method.recipe for method in find("unger", base).methods}
    settings = {
        name: (
            recipe.fused.fusion.kind,
            getattr(recipe.fused.fusion, "alpha", None),
            recipe.model.backbone.distillation_weight,
        )
        for name, recipe in rows.items()
    }
    assert settings == {
        "unger": ("unger", 1.0, 1.0),
        "unger-no-distillation": ("unger", 1.0, 0.0),
        "unger-no-alignment": ("unger", 0.0, 1.0),
        "unger-joined": ("unger", 0.0, 0.0),
        "unger-behaviour": ("unger", 0.0, 0.0),
        "unger-text": ("single", None, 0.0),
    }
    assert {recipe.codes for recipe in rows.values()} == {rows["unger"].codes}
    assert {recipe.metrics.method for recipe in rows.values()} == set(rows)
