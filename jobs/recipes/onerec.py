"""OneRec on public data: balanced residual k-means, an encoder-decoder, then preferences among its own beams (2025).

There are no sessions, watch times or exposures in public data, so lists and the mixture of experts are left out. What
stays: ids whose clusters are of equal size, and its preference step with the supervised loss beside it. In it the item
that was taken is preferred to all beams that were not (S-DPO, the stronger of the two that its paper compares), or, as
in its own (`_ipa`), the beam that a reward model values most to the one that it values least. The reward model is a
recommender over items (`_reward`), which is run first: its memory's weights are fitted to held-out clicks.
"""

from dataclasses import replace

from jobs.recipes import amazon, demo
from unisid.alignment import ipa, sdpo
from unisid.compute import Pool
from unisid.planning import Recipe
from unisid.stages import align
from unisid.stages.extension import Base
from unisid.tokenizers import balanced
from unisid.training.loop import Training


def onerec_beauty() -> Recipe:
    """Amazon-2014 Beauty with balanced semantic IDs, TIGER, and S-DPO beside the supervised loss."""
    return whole(amazon.beauty_tiger(), "onerec-beauty", prompts=32_768, epochs=4)


def demo_onerec() -> Recipe:
    """MovieLens-100K with balanced semantic IDs, TIGER, and S-DPO beside the supervised loss: minutes on two cores."""
    return whole(demo.demo_tiger(), "demo-onerec", prompts=4096, epochs=2)


def demo_onerec_reward() -> Recipe:
    """What values answers of demo_onerec_ipa: a recommender over items on the same balanced semantic IDs."""
    base = demo_onerec()
    judge = demo.demo().model
    return replace(
        base, name="demo-onerec-reward", align=None, model=judge, metrics=replace(base.metrics, method="reward")
    )


def demo_onerec_ipa() -> Recipe:
    """MovieLens-100K with balanced semantic IDs, TIGER, and preferences by a reward model; after demo_onerec_reward."""
    base = demo_onerec()
    assert base.align is not None
    reward = Base.parse(f"model/{demo_onerec_reward().name}/1")
    return replace(
        base,
        name="demo-onerec-ipa",
        align=replace(base.align, objective=ipa.Config(), reward=reward),
        metrics=replace(base.metrics, method="onerec-ipa"),
    )


def whole(base: Recipe, name: str, prompts: int, epochs: int) -> Recipe:
    """The method on a recipe with a recommender that generates ids."""
    shape, pool = base.codes.tokenizer, Pool(workers=1, cpus=2)
    return replace(
        base,
        name=name,
        codes=replace(
            base.codes,
            tokenizer=balanced.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size),
            unique="assign",
        ),
        align=align.Config(
            objective=sdpo.Config(beta=0.1, supervised=1.0),
            answers=16,
            prompts_per_epoch=prompts,
            training=Training(
                epochs=epochs,
                patience=epochs,
                learning_rate=1e-4,
                warmup_steps=20,
                gradient_clip=0.3,
                schedule="constant",
            ),
            pool=pool,
        ),
        metrics=replace(base.metrics, method="onerec"),
    )
