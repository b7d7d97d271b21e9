"""Language models at full size: LC-Rec as the UQF thesis fine-tunes it, and TS-Rec. Eight GPUs; plan them anywhere:
`unisid plan lcrec_office_3b --without-data`."""

from dataclasses import replace

from jobs.recipes import thesis
from unisid.backbones import lcrec
from unisid.compute import Pool
from unisid.fusion import single
from unisid.planning import Recipe
from unisid.stages import instructions, keywords, model
from unisid.tokenizers import rqkmeans
from unisid.training.loop import Training

EIGHT_GPUS = Pool(workers=8, cpus=8, gpus=1)
TS_REC = ("next", "title_to_sid", "sid_to_title", "next_title", "next_description", "text_to_token", "token_to_text")
"""TS-Rec's appendix A.2, and TS-Align both ways."""


def lcrec_office_05b() -> Recipe:
    """The thesis's Office Products and five tasks in its own words, with Qwen2.5-0.5B-Instruct on eight GPUs."""
    return _office("0.5B")


def lcrec_office_15b() -> Recipe:
    """The thesis's Office Products and five tasks in its own words, with Qwen2.5-1.5B-Instruct on eight GPUs."""
    return _office("1.5B")


def lcrec_office_3b() -> Recipe:
    """The thesis's Office Products and five tasks in its own words, with Qwen2.5-3B-Instruct on eight GPUs."""
    return _office("3B")


def tsrec_office() -> Recipe:
    """TS-Rec on Amazon-2018 Office Products: RQ-KMeans of text, keyword rows, tasks about tokens, Qwen2.5-1.5B."""
    return _ts_rec(thesis.thesis_office(), "tsrec-office")


def tsrec_industrial() -> Recipe:
    """TS-Rec on Amazon-2018 Industrial and Scientific: RQ-KMeans of text, keyword rows, tasks about tokens,
    Qwen2.5-1.5B."""
    return _ts_rec(thesis.thesis_industrial(), "tsrec-industrial")


def in_the_thesiss_words(base: Recipe, category: str) -> Recipe:
    """A recipe with a language model, taught the thesis's five tasks (both ways of the second) in its sentences, its
    new rows as the library draws them, the best epoch by validation loss."""
    found = instructions.Config(tasks=thesis.TASKS, wordings="thesis", category=category)
    asked = replace(found, pool=base.instructions.pool if base.instructions else found.pool)
    backbone = replace(_language(base), rows="library")
    return replace(base, instructions=asked, model=replace(_learning(base), backbone=backbone, select="loss"))


def with_token_semantics(
    base: Recipe, *, depth: int = 0, initialised: bool = True, aligned: bool = True, categories: str = ""
) -> Recipe:
    """A recipe with a language model as TS-Rec has it: rows of new tokens from their keywords, and tasks about tokens.

    Args:
        depth: levels whose rows come from keywords; 0 for all.
        initialised: without it all rows are the library's.
        aligned: without it the tasks about tokens are left out.
        categories: the column of the items' categories, which descriptions of tokens name; empty for none.
    """
    backbone = replace(_language(base), rows="keywords" if initialised else "library", depth=depth, otherwise="library")
    known = base.instructions or instructions.Config()
    tasks = [kind for kind in known.tasks if kind not in TS_REC[-2:]] + list(TS_REC[-2:] if aligned else ())
    told = keywords.Config(categories=categories, pool=known.pool) if initialised or aligned else None
    return replace(
        base,
        keywords=told,
        instructions=replace(known, tasks=tuple(tasks), weights=(), at_most=()),
        model=replace(_learning(base), backbone=backbone),
    )


def _office(size: str) -> Recipe:
    base = in_the_thesiss_words(thesis.thesis_office(), "Office Product")
    backbone = replace(_language(base), model=f"Qwen/Qwen2.5-{size}-Instruct", gradient_checkpointing=size != "0.5B")
    name = f"lcrec-office-{size.lower().replace('.', '')}"
    learning = replace(base.model, backbone=backbone, pool=EIGHT_GPUS)
    return replace(base, name=name, model=learning, metrics=replace(base.metrics, pool=EIGHT_GPUS))


def _ts_rec(data: Recipe, name: str) -> Recipe:
    """Section 5.1.4 of TS-Rec; what it leaves open is the thesis's. Colliding items are told apart as everywhere here,
    not by a random last token."""
    shape = rqkmeans.Config(num_levels=3, codebook_size=256)
    backbone = replace(_language(data), model="Qwen/Qwen2.5-1.5B-Instruct", gradient_checkpointing=True)
    base = replace(
        data,
        name=name,
        fused=replace(data.fused, fusion=single.Config(modality="text")),
        codes=replace(data.codes, tokenizer=shape),
        instructions=instructions.Config(tasks=TS_REC[:-2], wordings="thesis", pool=thesis.READERS),
        model=replace(
            data.model,
            backbone=backbone,
            select="loss",
            training=Training(epochs=3, patience=3, learning_rate=3e-4, warmup_steps=20, zero=1),
            pool=EIGHT_GPUS,
        ),
        metrics=replace(data.metrics, method="tsrec", pool=EIGHT_GPUS),
    )
    return with_token_semantics(base, categories="categories")


def _language(base: Recipe) -> lcrec.Config:
    """The recipe's language model, or LC-Rec's default where it has none."""
    backbone = base.model.backbone
    return backbone if isinstance(backbone, lcrec.Config) else lcrec.Config()


def _learning(base: Recipe) -> model.Config:
    """How the recipe's language model learns, or one that stands in for another recommender."""
    if isinstance(base.model.backbone, lcrec.Config):
        return base.model
    training = Training(epochs=10, patience=3, learning_rate=3e-4, warmup_steps=200)
    return model.Config(training=training, pool=base.model.pool)
