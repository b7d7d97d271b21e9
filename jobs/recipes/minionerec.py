"""MiniOneRec: a language model over semantic ids of text, then GRPO on its own constrained beams (2025).

Numbers are the paper's and its released code's, where these say more. Beside them, what is ours: one prompt in
training, aligning and serving; targets by the row of an interaction, not by the text of a history; ids that are unique,
so that a hit is an item and not a string; the reference is frozen. Prompts of aligning are histories alone, where the
released code adds titles and descriptions of items.
"""

from dataclasses import replace

from jobs.recipes import thesis
from unisid.alignment import grpo
from unisid.backbones import lcrec
from unisid.compute import Pool
from unisid.fusion import single
from unisid.planning import Recipe
from unisid.stages import align, codes, instructions, model
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

EIGHT_GPUS = Pool(workers=8, cpus=8, gpus=1)
RELEASED = ("next", "title_to_sid", "sid_to_title", "next_title", "titles_to_title", "titles_to_sid")
"""What the released code trains on: all rows of all tasks, without weights."""
NAMED = (*RELEASED, "description_to_sid", "sid_to_description")
"""With the tasks that the paper names besides and needs no other model for; which set made its table is not known."""


def minionerec_industrial() -> Recipe:
    """Amazon-2018 Industrial and Scientific as MiniOneRec has it: Qwen2.5-1.5B on six tasks, then GRPO."""
    published = {"items": 3685, "samples": 45_324, "train": 36_259, "valid": 4532, "test": 4533}
    base = thesis.thesis_industrial()
    data = replace(base.catalog, window_start="1996-10", published=published)
    return whole(replace(base, name="minionerec-industrial", catalog=data))


def minionerec_office() -> Recipe:
    """Amazon-2018 Office Products as MiniOneRec has it: Qwen2.5-1.5B on six tasks, then GRPO."""
    return whole(replace(thesis.thesis_office(), name="minionerec-office"))


def minionerec_office_next() -> Recipe:
    """The same, taught the next item's semantic id alone: what the other tasks are to be compared with."""
    base = minionerec_office()
    return replace(
        base, name="minionerec-office-next", instructions=instructions.Config(tasks=("next",), pool=thesis.READERS)
    )


def minionerec_office_described() -> Recipe:
    """The same on the tasks that the paper names: descriptions too."""
    base = minionerec_office()
    return replace(
        base, name="minionerec-office-described", instructions=instructions.Config(tasks=NAMED, pool=thesis.READERS)
    )


def minionerec_office_sft() -> Recipe:
    """The same six tasks without GRPO: what every figure of aligning is to be compared with."""
    base = minionerec_office()
    return replace(
        base, name="minionerec-office-sft", align=None, metrics=replace(base.metrics, method="minionerec-sft")
    )


def whole(base: Recipe) -> Recipe:
    """The method on a data set's recipe."""
    return replace(
        base,
        fused=replace(base.fused, fusion=single.Config(modality="text")),
        codes=codes.Config(
            tokenizer=rqvae.Config(
                num_levels=3, codebook_size=256, widths=(2048, 1024, 512, 256, 128, 64, 32), beta=0.25
            ),
            unique="assign",
            batch_size=20_480,
            training=Training(epochs=10_000, patience=10_000, validate_every=100, learning_rate=1e-3),
            pool=thesis.ONE_GPU,
        ),
        instructions=instructions.Config(tasks=RELEASED, pool=thesis.READERS),
        model=model.Config(
            backbone=lcrec.Config(model="Qwen/Qwen2.5-1.5B-Instruct", dtype="bfloat16", max_tokens=512),
            batch_size=1024,
            micro_batch=16,
            training=Training(epochs=10, patience=3, learning_rate=3e-4, warmup_steps=20, zero=1),
            beam=50,
            pool=EIGHT_GPUS,
        ),
        align=align.Config(
            objective=grpo.Config(rule=1.0, rank=1.0, beta=1e-3),
            rollout="beam",
            answers=16,
            batch_size=64,
            training=Training(
                epochs=2, patience=2, learning_rate=1e-5, warmup_steps=50, gradient_clip=0.3, schedule="cosine", zero=1
            ),
            pool=EIGHT_GPUS,
        ),
        metrics=replace(base.metrics, method="minionerec", beam=50),
    )
