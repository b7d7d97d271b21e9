"""UNGER (arXiv 2502.06269): one code from what users do and what texts say, and a decoder distilled from both.

`unger_beauty`, `unger_sports` and `unger_toys` have the paper's settings (its section 4.1.3 and table 4) at full size:
`unisid plan unger_beauty --without-data` shows what would be made. `demo_unger` and `beauty_unger` are sized for two
cores: MiniLM for the text, a transformer for DIN, fewer steps. docs/howto/unger.md says what the paper leaves open.
"""

from collections.abc import Mapping
from dataclasses import replace

from jobs.recipes import amazon, demo, thesis
from unisid.backbones import unger as second
from unisid.datasets import amazon as amazon_files
from unisid.encoders import transformer
from unisid.fusion import unger as first
from unisid.planning import Recipe
from unisid.stages import codes, embeddings, fused, metrics, model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

SEED = 2024


def demo_unger() -> Recipe:
    """UNGER on MovieLens-100K."""
    base = unified(demo.demo())
    training = Training(epochs=20, patience=5, learning_rate=1.5e-3, weight_decay=1e-7, warmup_steps=200)
    return replace(
        base,
        name="demo-unger",
        model=replace(base.model, batch_size=64, samples_per_epoch=24_000, valid_samples=943, training=training),
    )


def beauty_unger() -> Recipe:
    """UNGER on Amazon-2014 Beauty, sized for two cores."""
    return replace(unified(amazon.beauty()), name="beauty-unger")


def unger_beauty() -> Recipe:
    """UNGER on Amazon-2014 Beauty, with the paper's settings."""
    return _paper("unger-beauty", "Beauty", {"users": 22_363, "items": 12_101})


def unger_sports() -> Recipe:
    """UNGER on Amazon-2014 Sports and Outdoors, with the paper's settings."""
    return _paper("unger-sports", "Sports_and_Outdoors", {"users": 35_598, "items": 18_357})


def unger_toys() -> Recipe:
    """UNGER on Amazon-2014 Toys and Games, with the paper's settings."""
    return _paper("unger-toys", "Toys_and_Games", {"users": 19_412, "items": 11_924})


def unified(base: Recipe) -> Recipe:
    """A base with UNGER's vectors, codes and recommender. What of it is UNGER already stays, and so do the sizes of
    codebooks and the machines."""
    fusing, model_of = base.fused, base.model
    if not isinstance(fusing.fusion, first.Config):
        training = Training(epochs=100, patience=5, learning_rate=1e-3, schedule="constant")
        fusing = replace(fusing, fusion=first.Config(), batch_size=128, training=training)
    if not isinstance(model_of.backbone, second.Config):
        training = Training(epochs=200, patience=15, learning_rate=1e-3, weight_decay=1e-7, warmup_steps=1000)
        model_of = model.Config(backbone=second.Config(), batch_size=128, training=training, pool=model_of.pool)
    size = base.codes.tokenizer.codebook_size
    return replace(
        base,
        instructions=None,
        fused=fusing,
        codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=4, codebook_size=size)),
        model=model_of,
        metrics=replace(base.metrics, method="unger"),
    )


def without(recipe: Recipe, *parts: str) -> Recipe:
    """UNGER without some of its parts: `distillation` (the summary token), `alignment` (then the vectors are those of
    what users do alone)."""
    shape, backbone = recipe.fused.fusion, recipe.model.backbone
    assert isinstance(shape, first.Config)
    assert isinstance(backbone, second.Config)
    if "alignment" in parts:
        shape = replace(shape, alpha=0.0)
    if "distillation" in parts:
        backbone = replace(backbone, distillation_weight=0.0)
    return replace(recipe, fused=replace(recipe.fused, fusion=shape), model=replace(recipe.model, backbone=backbone))


def _paper(name: str, category: str, published: Mapping[str, int]) -> Recipe:
    """The paper's settings over a set of its table 2. What it leaves out is as in EAGER's code, from which it descends:
    the temperature and negatives of the distillation, the inverse square root, the sampled softmax of DIN."""
    base = thesis.thesis_sports()
    one_gpu = thesis.ONE_GPU
    folder = "data/amazon-2014"
    files = amazon_files.Config(
        release="2014",
        reviews=(f"{folder}/reviews_{category}_5.json.gz",),
        metadata=(f"{folder}/meta_{category}.json.gz",),
    )
    return replace(
        base,
        name=name,
        catalog=replace(base.catalog, dataset=files, published=published),
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="meta-llama/Llama-2-7b-hf", dtype="bfloat16"),
            keep_states=False,
            tokenize=thesis.READERS,
            pool=one_gpu,
        ),
        fused=fused.Config(
            fusion=first.Config(
                width=96, sequence="din", dropout=0.1, num_negatives=60, alpha=1.0, temperature=1.0, vector="behaviour"
            ),
            batch_size=256,
            training=Training(
                epochs=100,
                patience=10,
                learning_rate=1e-3,
                weight_decay=1e-7,
                warmup_steps=2000,
                schedule="inverse_square_root",
                seed=SEED,
            ),
            pool=one_gpu,
            writers=one_gpu,
        ),
        codes=codes.Config(
            tokenizer=rqkmeans.Config(num_levels=4, codebook_size=256),
            scale="whole",
            training=Training(seed=SEED),
            pool=one_gpu,
        ),
        instructions=None,
        model=model.Config(
            backbone=second.Config(distillation_weight=1.0, temperature=0.3, num_negatives=2048),
            batch_size=256,
            samples_per_epoch=256 * 200,
            beam=100,
            training=Training(
                epochs=100,
                patience=100,
                learning_rate=1e-3,
                weight_decay=1e-7,
                warmup_steps=2000,
                schedule="inverse_square_root",
                gradient_clip=0.0,
                seed=SEED,
            ),
            pool=one_gpu,
        ),
        metrics=metrics.Config(method="unger", beam=100, pool=one_gpu),
    )
