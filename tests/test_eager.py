"""EAGER's recipes: the numbers of the paper and of its released code, planned at full size."""

import pytest

from unisid import pipeline, recipes
from unisid.artifacts.store import Place, Store
from unisid.backbones import eager
from unisid.experiments.definition import find
from unisid.fusion import unger
from unisid.tokenizers import paired

PAPER = ("eager_beauty", "eager_sports", "eager_toys")


@pytest.mark.parametrize("name", PAPER)
def test_the_settings_of_the_paper_and_the_released_code(name):
    recipe = recipes.find(name)
    assert (recipe.catalog.protocol, recipe.catalog.k_core, recipe.catalog.history_length) == ("leave-one-out", 5, 19)
    vectors, tokenizer = recipe.fused.fusion, recipe.codes.tokenizer
    assert isinstance(vectors, unger.Config)
    assert (vectors.width, vectors.sequence, vectors.alpha, vectors.vector) == (96, "din", 0.0, "joined")
    assert isinstance(tokenizer, paired.Config)
    assert (tokenizer.num_levels, tokenizer.codebook_size, tokenizer.first_width) == (4, 128, 96)
    assert tokenizer.parts == (2, 2)
    backbone, training = recipe.model.backbone, recipe.model.training
    assert isinstance(backbone, eager.Config)
    shape = backbone.decoder
    assert (shape.num_encoder_layers, shape.num_decoder_layers, shape.num_heads) == (1, 2, 4)
    assert (shape.width, shape.feedforward_width) == (96, 1024)
    assert (backbone.first_width, backbone.contrasts, backbone.transfer) == (96, (1.0, 10.0), 1.0)
    assert (backbone.temperature, backbone.num_negatives) == (0.3, 2048)
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (1e-3, 1e-7, 2000)
    assert (training.schedule, training.seed, recipe.model.batch_size) == ("inverse_square_root", 2024, 256)
    assert recipe.metrics.beam == 100


@pytest.mark.parametrize("name", PAPER)
def test_they_plan_without_data_and_hub(name, tmp_path):
    entries = pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    nouns = ["catalog", "embeddings", "graph", "fused", "codes", "sequences", "model", "metrics"]
    assert [entry.noun for entry in entries] == nouns


def test_the_ablations_take_away_one_part_after_the_other():
    rows = {method.name: method.recipe.model.backbone for method in find("eager", recipes.find("demo")).methods}
    found = {
        name: (backbone.contrasts, backbone.transfer)
        for name, backbone in rows.items()
        if isinstance(backbone, eager.Config)
    }
    assert found == {
        "eager": ((1.0, 10.0), 1.0),
        "eager-no-transfer": ((1.0, 10.0), 0.0),
        "eager-no-contrast": ((0.0, 0.0), 1.0),
        "eager-bare": ((0.0, 0.0), 0.0),
    }
    assert rows["unger"].kind == "unger"
