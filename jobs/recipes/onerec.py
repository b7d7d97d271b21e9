"""OneRec on public data: balanced residual k-means, an encoder-decoder, then preferences among its own beams (2025).

There are no sessions, watch times or exposures in public data, so lists, the reward model of these and the mixture of
experts are left out. What stays: ids whose clusters are of equal size, and its iterative preference step with the
supervised loss beside it, in which the item that was taken is preferred to all beams that were not (S-DPO, the
stronger of the two that its paper compares).
"""

from dataclasses import replace

from jobs.recipes import amazon, demo
from unisid.alignment import sdpo
from unisid.compute import Pool
from unisid.planning import Recipe
from unisid.stages import align
from unisid.tokenizers import balanced
from unisid.training.loop import Training


def onerec_beauty() -> Recipe:
    """Amazon-2014 Beauty with balanced semantic IDs, TIGER, and S-DPO beside the supervised loss."""
    return whole(amazon.beauty_tiger(), "onerec-beauty", prompts=32_768, epochs=4)


def demo_onerec() -> Recipe:
    """MovieLens-100K with balanced semantic IDs, TIGER, and S-DPO beside the supervised loss: minutes on two cores."""
    return whole(demo.demo_tiger(), "demo-onerec", prompts=4096, epochs=2)


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
