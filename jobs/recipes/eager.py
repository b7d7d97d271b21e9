"""EAGER (arXiv 2406.14017): two indexes of one catalogue, of what users do and of what texts say, and two decoders.

`eager_beauty`, `eager_sports` and `eager_toys` have the settings of the paper and of its released code at full size:
`unisid plan eager_beauty --without-data` shows what would be made. `demo_eager` and `beauty_eager` are sized for two
cores. `--model.backbone.decoder.num_decoder_layers 36` is the UQF thesis's form. docs/howto/eager.md says what differs.
"""

from dataclasses import replace

from jobs.recipes import amazon, demo, unger
from unisid.backbones import eager
from unisid.encoders import transformer
from unisid.fusion import unger as behaviour
from unisid.planning import Recipe
from unisid.stages import codes, model
from unisid.tokenizers import paired
from unisid.training.loop import Training

SEED = 2024
STEPS_PER_EPOCH = 300
"""The released code looks so often."""


def demo_eager() -> Recipe:
    """EAGER on MovieLens-100K."""
    base = demo.demo()
    training = Training(epochs=20, patience=5, learning_rate=1.5e-3, weight_decay=1e-7, warmup_steps=200)
    found = two_streams(base)
    return replace(
        found,
        name="demo-eager",
        model=replace(found.model, batch_size=64, samples_per_epoch=24_000, valid_samples=943, training=training),
    )


def beauty_eager() -> Recipe:
    """EAGER on Amazon-2014 Beauty, sized for two cores."""
    return replace(two_streams(amazon.beauty()), name="beauty-eager")


def eager_beauty() -> Recipe:
    """EAGER on Amazon-2014 Beauty, with the paper's settings."""
    return _paper("eager-beauty", unger.unger_beauty())


def eager_sports() -> Recipe:
    """EAGER on Amazon-2014 Sports and Outdoors, with the paper's settings."""
    return _paper("eager-sports", unger.unger_sports())


def eager_toys() -> Recipe:
    """EAGER on Amazon-2014 Toys and Games, with the paper's settings."""
    return _paper("eager-toys", unger.unger_toys())


def two_streams(base: Recipe) -> Recipe:
    """A base with EAGER's vectors, codes and recommender. What of it is EAGER already stays, and so do the sizes of
    codebooks and the machines."""
    fusing, model_of, size = base.fused, base.model, base.codes.tokenizer.codebook_size
    if not isinstance(fusing.fusion, behaviour.Config):
        fusing = unger.unified(base).fused
    shape = fusing.fusion
    assert isinstance(shape, behaviour.Config)
    if not isinstance(model_of.backbone, eager.Config):
        training = Training(epochs=200, patience=15, learning_rate=1e-3, weight_decay=1e-7, warmup_steps=1000)
        backbone = eager.Config(first_width=shape.width)
        model_of = model.Config(backbone=backbone, batch_size=128, training=training, pool=model_of.pool)
    tokenizer = paired.Config(num_levels=4, codebook_size=size, first_width=shape.width)
    return replace(
        base,
        instructions=None,
        fused=replace(fusing, fusion=replace(shape, alpha=0.0, vector="joined")),
        codes=replace(base.codes, tokenizer=tokenizer),
        model=model_of,
        metrics=replace(base.metrics, method="eager"),
    )


def without(recipe: Recipe, *parts: str) -> Recipe:
    """EAGER without some of its parts: `contrast` (the summary tokens' own), `transfer` (from texts to behaviour)."""
    backbone = recipe.model.backbone
    assert isinstance(backbone, eager.Config)
    if "contrast" in parts:
        backbone = replace(backbone, behaviour_contrast=0.0, semantic_contrast=0.0)
    if "transfer" in parts:
        backbone = replace(backbone, transfer=0.0)
    return replace(recipe, model=replace(recipe.model, backbone=backbone))


def _paper(name: str, base: Recipe) -> Recipe:
    """The settings of the paper and of the released code, over the data of UNGER, which descends from it. How many
    steps are taken is ours: validation decides, where the released code takes the best of its looks at the test set."""
    learned, pool = base.fused.fusion, base.model.pool
    assert isinstance(learned, behaviour.Config)
    training = replace(base.model.training, epochs=200, patience=20)
    return replace(
        base,
        name=name,
        catalog=replace(base.catalog, history_length=19),
        embeddings=replace(base.embeddings, encoder=transformer.Config(model="sentence-transformers/sentence-t5-base")),
        fused=replace(base.fused, fusion=replace(learned, alpha=0.0, vector="joined")),
        codes=codes.Config(
            tokenizer=paired.Config(num_levels=4, codebook_size=128, first_width=learned.width),
            scale="whole",
            training=Training(seed=SEED),
            pool=pool,
        ),
        model=replace(
            base.model,
            backbone=eager.Config(first_width=learned.width),
            samples_per_epoch=256 * STEPS_PER_EPOCH,
            training=training,
        ),
        metrics=replace(base.metrics, method="eager"),
    )
