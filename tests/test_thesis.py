"""The UQF thesis's recipes: every number of its tables 5.1 to 5.5, planned at full size and run small."""

import gzip
import json
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

from tests.backbones.models import language_model
from tests.encoders.models import tiny_qwen3
from tests.lines import logged
from unisid import pipeline, recipes
from unisid.artifacts.metrics import CUTOFFS
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place, Store
from unisid.backbones import lcrec
from unisid.config import fingerprint, to_record
from unisid.datasets import amazon
from unisid.encoders import transformer
from unisid.errors import ConfigError
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog
from unisid.stages.catalog.published import compared, in_words
from unisid.stages.catalog.summary import facts
from unisid.tokenizers import rqvae
from unisid.tracker import NullTracker
from unisid.training.loop import Training

OWN = ("thesis_office", "thesis_instruments")
ALL = (*OWN, "thesis_industrial", "thesis_pet", "thesis_sports", "thesis_toys")


def test_table_5_1_and_the_protocol():
    """What is read of which months, how it is filtered and split, and the counts that must come of it."""
    office, instruments = (recipes.find(name).catalog for name in OWN)
    assert (office.window_start, instruments.window_start) == ("2016-10", "1996-10")
    assert office.published == {
        "users": 8328, "items": 3459, "samples": 48656, "train": 38924, "valid": 4866, "test": 4866,
    }  # fmt: skip
    assert instruments.published == {
        "users": 13601, "items": 5555, "samples": 94654, "train": 75723, "valid": 9465, "test": 9466,
    }  # fmt: skip
    for found in (office, instruments):
        assert (found.protocol, found.k_core, found.min_items, found.history_length) == ("temporal", 5, 3000, 10)
        assert found.window_end == "2018-12"
        assert found.applies_title_rules
        assert isinstance(found.dataset, amazon.Config)
        assert found.dataset.release == "2018"
        assert found.text == ()
        assert found.dataset.build().text == ("title", "description")  # table 5.2, input fields


def test_the_sets_of_other_papers():
    """Their protocols and counts; Industrial goes by time, the older ones by user."""
    found = {name: recipes.find(name).catalog for name in ALL[2:]}
    assert {name: tuple(each.published.values()) for name, each in found.items()} == {
        "thesis_industrial": (7694, 3685, 45324), "thesis_pet": (19855, 8498, 157747),
        "thesis_sports": (35598, 18357, 296337), "thesis_toys": (19412, 11924, 167597),
    }  # fmt: skip
    assert {each.protocol for name, each in found.items() if name != "thesis_industrial"} == {"leave-one-out"}
    assert {each.history_length for name, each in found.items() if name != "thesis_industrial"} == {20}
    assert found["thesis_industrial"].protocol == "temporal"


@pytest.mark.parametrize("name", ALL)
def test_table_5_2_semantic_and_collaborative_vectors(name):
    recipe = recipes.find(name)
    encoder, graph = recipe.embeddings.encoder, recipe.graph.graph
    assert isinstance(encoder, transformer.Config)
    assert isinstance(graph, lightgcn.Config)
    assert encoder.model == "Qwen/Qwen3-Embedding-4B"
    assert (recipe.embeddings.max_tokens, recipe.embeddings.pooling, recipe.embeddings.keep_states) == (
        64,
        "mean",
        True,
    )
    assert (graph.num_layers, graph.width) == (5, 256)


@pytest.mark.parametrize("name", ALL)
def test_table_5_3_uqf(name):
    fused = recipes.find(name).fused
    shape, loss, training = fused.fusion, fused.loss, fused.training
    assert isinstance(shape, uqf.Config)
    assert (shape.num_queries, shape.num_layers, shape.num_heads) == (16, 4, 16)
    assert (shape.width, shape.output_width) == (1024, 1024)  # d_h and d_q, d_u
    assert loss.modality_dropout == 0.2
    assert fused.num_neighbours == 50
    assert (loss.temperature, loss.reconstruction_weight, loss.structure_weight) == (0.05, 0.2, 0.4)
    assert not loss.mask_known
    assert (training.learning_rate, training.weight_decay, training.schedule) == (1e-4, 1e-5, "cosine")
    assert (fused.batch_size, training.epochs, training.patience) == (256, 1000, 40)
    assert (training.gradient_clip, training.precision) == (0, "float32")


@pytest.mark.parametrize("name", ALL)
def test_table_5_4_rq_vae(name):
    recipe = recipes.find(name)
    shape = recipe.codes.tokenizer
    assert isinstance(shape, rqvae.Config)
    assert (recipe.fused.fusion.output_width, *shape.widths) == (1024, 2048, 1024, 512, 256, 128, 64, 32)
    assert (shape.num_levels, shape.codebook_size, shape.beta) == (3, 256, 0.25)
    assert recipe.codes.unique == "assign"


@pytest.mark.parametrize("name", ALL)
def test_table_5_5_recommender(name):
    recipe = recipes.find(name)
    backbone, training = recipe.model.backbone, recipe.model.training
    assert isinstance(backbone, lcrec.Config)
    assert backbone.model == "Qwen/Qwen2.5-3B-Instruct"
    assert (backbone.trained, backbone.gradient_checkpointing, training.zero) == ("all", False, 1)
    assert (recipe.model.batch_size, recipe.model.micro_batch, training.epochs) == (1024, 16, 10)
    assert training.patience == 3
    assert (recipe.model.pool.workers, recipe.model.pool.gpus) == (1, 1)
    assert recipe.instructions is not None
    assert recipe.instructions.tasks == (
        "next", "title_to_sid", "sid_to_title", "next_title", "titles_to_title", "titles_to_sid",
    )  # fmt: skip
    assert recipe.metrics.beam == 50
    assert {5, 10, 20} <= set(recipe.metrics.cutoffs or CUTOFFS)


@pytest.mark.parametrize("name", ALL)
def test_the_seed_is_42_everywhere(name):
    recipe = to_record(recipes.find(name))
    seeds = [value for key, value in leaves(recipe) if key.split(".")[-1] == "seed"]
    assert len(seeds) >= 6
    assert set(seeds) == {42}


def leaves(record, key=""):
    """The dotted keys of a record and what they hold."""
    if not isinstance(record, dict):
        return [(key, record)]
    return [leaf for name, value in record.items() for leaf in leaves(value, f"{key}.{name}")]


@pytest.mark.parametrize("name", ALL)
def test_they_plan_without_data_and_hub(name, tmp_path):
    entries = pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)), without_data=True)
    assert {entry.state for entry in entries} == {"to make"}
    assert [entry.noun for entry in entries] == [
        "catalog", "embeddings", "graph", "fused", "codes", "sequences", "instructions", "model", "metrics",
    ]  # fmt: skip
    with pytest.raises(Exception, match=r"catalog\.dataset\.(metadata|reviews)|\.json\.gz"):
        pipeline.plan(recipes.find(name), Store(Place.of(tmp_path)))


def test_full_size_has_the_thesis_s_shapes():
    """On the meta device, which takes no memory: every weight of UQF and RQ-VAE, as tables 5.2 to 5.4 give them."""
    recipe = recipes.find("thesis_office")
    with torch.device("meta"):
        fusion = recipe.fused.fusion.build({"text": 2560, "graph": 256})
        tokenizer = recipe.codes.tokenizer.build(fusion.width)
    shapes = {name: tuple(weight.shape) for name, weight in fusion.named_parameters()}
    assert shapes["queries"] == (16, 1024)
    assert (shapes["text_in.0.weight"], shapes["graph_in.0.weight"]) == ((1024, 2560), (1024, 256))
    assert shapes["layers.3.widen.weight"] == (4096, 1024)
    assert (shapes["text_decoder.0.weight"], shapes["text_decoder.2.weight"]) == ((2048, 1024), (2560, 2048))
    assert (shapes["graph_decoder.0.weight"], shapes["graph_decoder.2.weight"]) == ((512, 1024), (256, 512))
    linear = [tuple(weight.shape) for name, weight in tokenizer.named_parameters() if weight.dim() == 2]
    wide = (1024, 2048, 1024, 512, 256, 128, 64, 32)
    pairs = list(zip(wide[1:], wide, strict=False))
    assert linear[: len(pairs)] == pairs
    assert linear[len(pairs) : 2 * len(pairs)] == [(b, a) for a, b in reversed(pairs)]


# --- small ---


def shop(folder, users=60, items=40, months=24):
    """A small release of 2018: every user takes eight neighbouring items, a month apart or so."""
    rng = random.Random(0)
    words = ["red", "blue", "green", "small", "large", "old", "new"]
    things = ["table", "chair", "lamp", "desk", "ink", "paper", "pen", "printer"]
    meta = [
        {"asin": f"B{n}", "title": f"{words[n % 7]} {things[n % 8]}", "description": [f"for {things[n % 5]}"]}
        for n in range(items)
    ]
    begin = int(datetime(2016, 11, 1, tzinfo=UTC).timestamp())
    reviews = [
        {"reviewerID": f"U{u}", "asin": f"B{(start + step) % items}", "overall": 5.0,
         "unixReviewTime": begin + step * 80 * 86400 + rng.randrange(40 * 86400)}
        for u in range(users) for start in [rng.randrange(items)] for step in range(8)
    ]  # fmt: skip
    for name, rows in (("reviews", reviews), ("meta", meta)):
        with gzip.open(folder / f"{name}.json.gz", "wt", encoding="utf8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return amazon.Config(reviews=(str(folder / "reviews.json.gz"),), metadata=(str(folder / "meta.json.gz"),))


def small(recipe, folder):
    """The recipe with small stand-ins for its models, data and sizes; all else is as it is."""
    return replace(
        recipe,
        catalog=replace(recipe.catalog, dataset=shop(folder), min_items=0, published={"users": 60, "items": 41},
                        pool=replace(recipe.catalog.pool, workers=1)),
        embeddings=replace(
            recipe.embeddings, encoder=transformer.Config(model=str(tiny_qwen3(folder / "encoder"))), pool=CPU,
            tokenize=CPU,
        ),
        graph=replace(recipe.graph, graph=replace(recipe.graph.graph, width=16), epochs=2, pool=CPU),
        fused=replace(
            recipe.fused, fusion=replace(recipe.fused.fusion, width=32, output_width=32, num_heads=4), batch_size=16,
            training=replace(recipe.fused.training, epochs=2), num_neighbours=5, pool=CPU, writers=CPU,
        ),
        codes=replace(
            recipe.codes, tokenizer=replace(recipe.codes.tokenizer, codebook_size=8, widths=(32, 16)),
            training=Training(epochs=20, validate_every=10), pool=CPU,
        ),
        instructions=replace(recipe.instructions, pool=CPU),
        model=replace(
            recipe.model, backbone=lcrec.Config(model=str(language_model(folder / "language")), max_tokens=700),
            batch_size=16, micro_batch=8, samples_per_epoch=32, valid_samples=8,
            training=replace(recipe.model.training, epochs=1, zero=0, warmup_steps=2), pool=CPU,
        ),
        metrics=replace(recipe.metrics, cutoffs=(1, 5, 10), beam=20, resamples=50, pool=CPU),
    )  # fmt: skip


CPU = recipes.find("demo").graph.pool


@pytest.mark.slow
def test_the_thesis_runs_small_from_raw_files_to_metrics(tmp_path):
    """All five tasks, every stage; and the catalog says where it differs from what is published."""
    recipe = small(recipes.find("thesis_office"), tmp_path)
    store = Store(Place.of(tmp_path / "store"))
    with logged() as said:
        places = pipeline.run(recipe, store, LocalCompute(), NullTracker())
    counts = {noun: read_record(place).counts for noun, place in places.items()}
    assert counts["catalog"]["window_start"] == "2016-10-01"
    assert counts["catalog"]["published"] == {
        "users": {"published": 60, "found": 60}, "items": {"published": 41, "found": 40},
    }  # fmt: skip
    assert any("the counts are not the published ones (1 of 2 are): items 40 (-1 of 41)" in line for line in said)
    assert not counts["graph"].get("leaky")
    assert counts["fused"]["width"] == 32
    assert len(places) == 9


# --- published counts ---


COUNTS = {"users": 3, "items": 4, "interactions": 9, "train": 4, "valid": 1, "test": 1}


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ({}, ""),
        ({"users": 3, "samples": 6}, "the counts are the published ones: users 3, samples 6"),
        ({"users": 3, "items": 5, "samples": 7},
         "the counts are not the published ones (1 of 3 are): items 4 (-1 of 5), samples 6 (-1 of 7)"),
    ],
)  # fmt: skip
def test_counts_are_compared_with_the_published_ones(published, words):
    counts = COUNTS | {"published": compared(COUNTS, published)}
    assert in_words(counts) == words
    assert dict(facts(counts)).get("published counts", "") == words


def test_published_counts_bear_no_identity_and_have_known_names():
    with_them, without = catalog.Config(published={"items": 3}), catalog.Config()
    assert fingerprint(to_record(with_them, identity=True)) == fingerprint(to_record(without, identity=True))
    with pytest.raises(
        ConfigError, match=r"catalog\.published: no count 'item', did you mean 'items'\?|no count 'item'"
    ):
        catalog.Config(published={"item": 3})
    with pytest.raises(ConfigError, match=r"catalog\.published"):
        catalog.Config(published={"items": 0})
