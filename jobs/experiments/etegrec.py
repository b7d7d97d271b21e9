"""ETEGRec's parts: turns, both alignments, and what they come to beside frozen codes."""

from dataclasses import replace

from jobs.experiments.joint import named
from jobs.recipes.recommenders import token_by_token
from unisid.backbones import tiger
from unisid.experiments.definition import Experiment, Method
from unisid.joint import etegrec as etegrec_method
from unisid.planning import Recipe
from unisid.stages import joint
from unisid.tokenizers import rqvae


def etegrec(base: Recipe) -> Experiment:
    """ETEGRec without each of its alignments, without both, and TIGER on the index that it begins with."""
    whole = with_etegrec(base)
    assert whole.joint is not None
    method = whole.joint.method
    assert isinstance(method, etegrec_method.Config)
    parts = {
        "frozen": replace(whole, joint=None, model=replace(whole.model, afterwards=None)),
        "neither": _way(whole, replace(method, alignment_weight=0.0, preference_weight=0.0)),
        "no-sia": _way(whole, replace(method, alignment_weight=0.0)),
        "no-psa": _way(whole, replace(method, preference_weight=0.0)),
        "etegrec": whole,
    }
    return Experiment(
        name="etegrec",
        question="Does it pay to train tokenizer and recommender in turns, and which alignment does it?",
        methods=tuple(Method(name, named(recipe, name)) for name, recipe in parts.items()),
        ours="etegrec",
    )


def with_etegrec(base: Recipe) -> Recipe:
    """The recipe, trained jointly as ETEGRec; as it is where it does so already."""
    if base.joint is not None and isinstance(base.joint.method, etegrec_method.Config):
        return base
    shape = base.codes.tokenizer
    widths = shape.widths if isinstance(shape, rqvae.Config) else (512, 256, 128)
    tokenizer = rqvae.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size, widths=widths)
    model = base.model if isinstance(base.model.backbone, tiger.Config) else token_by_token(base.model.pool)
    return replace(
        base,
        baseline=None,
        instructions=None,
        codes=replace(base.codes, tokenizer=tokenizer, unique="append"),
        joint=joint.Config(method=etegrec_method.Config()),
        model=model,
    )


def _way(recipe: Recipe, method: etegrec_method.Config) -> Recipe:
    assert recipe.joint is not None
    return replace(recipe, joint=replace(recipe.joint, method=method))
