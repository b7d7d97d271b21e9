"""Does it pay to train the tokenizer with the recommender? Of any dataset's recipe, or of one that does so itself."""

from dataclasses import replace

from jobs.experiments.joint import named
from jobs.recipes.recommenders import token_by_token
from unisid.backbones import tiger
from unisid.baselines import sasrec
from unisid.experiments.definition import Experiment, Method, baselines_share
from unisid.joint import unigrec as unigrec_method
from unisid.planning import Recipe
from unisid.stages import baseline, joint
from unisid.tokenizers import rqvae, soft


def unigrec(base: Recipe) -> Experiment:
    """UniGRec's ladder (its table 3), and TIGER on the index that its last rung begins with."""
    whole = with_unigrec(base)
    assert whole.joint is not None
    method = whole.joint.method
    assert isinstance(method, unigrec_method.Config)
    untaught = replace(method, tokenizer_distillation=0.0, recommender_distillation=0.0)
    rungs = {
        "m1": _way(_even(whole), replace(untaught, tokenizer_rate=0.0, reconstruction_weight=0.0)),
        "m2": _way(_even(whole), untaught),
        "m3": _way(whole, untaught),
        "m4": _way(whole, replace(method, recommender_distillation=0.0)),
        "m5": _way(whole, replace(method, tokenizer_distillation=0.0)),
        "m6": whole,
    }
    rungs = {
        "m0": replace(_plain(whole), codes=replace(whole.codes, tokenizer=_hard(whole))),
        "frozen": _plain(whole),
    } | rungs
    return Experiment(
        name="unigrec",
        question="Does it pay to train the tokenizer with the recommender, and which of UniGRec's parts does it?",
        methods=tuple(Method(name, named(recipe, name)) for name, recipe in rungs.items()),
        ours="m6",
    )


def with_unigrec(base: Recipe) -> Recipe:
    """The recipe, trained jointly as UniGRec; as it is where it already has a way of its own."""
    if base.joint is not None:
        return base
    shape = base.codes.tokenizer
    widths = shape.widths if isinstance(shape, rqvae.Config) else soft.Config().widths
    tokenizer = soft.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size, widths=widths)
    model = base.model if isinstance(base.model.backbone, tiger.Config) else token_by_token(base.model.pool)
    return replace(
        base,
        baseline=None,
        instructions=None,
        codes=replace(base.codes, tokenizer=tokenizer, unique="append"),
        joint=joint.Config(method=unigrec_method.Config(), teacher=teacher_of(base)),
        model=model,
    )


def teacher_of(base: Recipe) -> baseline.Config:
    """SASRec, trained as the dataset's baselines are."""
    return replace(baselines_share(base), baseline=sasrec.Config())


def _way(recipe: Recipe, method: unigrec_method.Config) -> Recipe:
    assert recipe.joint is not None
    return replace(recipe, joint=replace(recipe.joint, method=method))


def _even(recipe: Recipe) -> Recipe:
    """Without uniformity in stage 1."""
    tokenizer = recipe.codes.tokenizer
    assert isinstance(tokenizer, soft.Config)
    return replace(recipe, codes=replace(recipe.codes, tokenizer=replace(tokenizer, uniformity_weight=0.0)))


def _plain(recipe: Recipe) -> Recipe:
    """One after the other."""
    return replace(recipe, joint=None, model=replace(recipe.model, afterwards=None))


def _hard(recipe: Recipe) -> rqvae.Config:
    """An RQ-VAE of the soft tokenizer's shape."""
    shape = recipe.codes.tokenizer
    assert isinstance(shape, soft.Config)
    return rqvae.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size, widths=shape.widths)
