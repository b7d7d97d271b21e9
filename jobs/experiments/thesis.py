"""The UQF thesis's questions, of any dataset's recipe: tables 6.1 to 6.4, figures 6.1 to 6.3, 6.5, 6.6 in our form."""

import itertools
from dataclasses import replace

from jobs.experiments.etegrec import with_etegrec
from jobs.experiments.joint import named
from jobs.experiments.unigrec import with_unigrec
from jobs.recipes.eager import two_streams
from jobs.recipes.recommenders import by_retrieval, in_parallel, over_items, token_by_token
from jobs.recipes.thesis import TASKS
from jobs.recipes.unger import unified
from unisid.backbones import BackboneConfig, hierarchical, lcrec, tiger
from unisid.baselines import (
    bert4rec,
    bprmf,
    caser,
    fdsa,
    gru4rec,
    hgn,
    hstu,
    itemknn,
    lightgcn,
    popularity,
    related,
    s3rec,
    sasrec,
    with_memory,
)
from unisid.errors import ConfigError
from unisid.experiments.definition import Experiment, Method, with_baseline
from unisid.fusion import FusionConfig, concat, single
from unisid.planning import Recipe
from unisid.stages import instructions
from unisid.tokenizers import TokenizerConfig, balanced, hkmeans, letter, opq, orq, rqkmeans, rqkmeans_plus, rqvae

STRUCTURE_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LANGUAGE_MODELS = {
    0.5: "Qwen/Qwen2.5-0.5B-Instruct",
    1.5: "Qwen/Qwen2.5-1.5B-Instruct",
    3.0: "Qwen/Qwen2.5-3B-Instruct",
}
WIDTHS = (48, 96, 192)
FIRST = ("next",)
"""The first task alone: what the thesis calls TIGER-style, as we read it."""
OWN = "fused"
"""The source of semantic ids that is the base's own fusion."""
SOURCES = ("text", "graph", "concat", "letter", OWN)
"""What semantic ids are made of, in the order of tables."""


def main(base: Recipe) -> Experiment:
    """Table 6.1: every baseline beside semantic ids of text, of LETTER and of the fusion; UNGER; EAGER."""
    own = _called(base, OWN)
    return Experiment(
        name="main",
        question="How good are unified semantic ids beside baselines without ids, and ids of text and of LETTER?",
        methods=(
            *_baselines(base),
            tokenized(base, "text"),
            tokenized(base, "letter"),
            tokenized(base, OWN),
            *_recommenders(base),
            Method("unger", named(unified(base), "unger")),
            Method(f"{own}-unigrec", named(with_unigrec(base), f"{own}-unigrec")),
            Method("eager", named(two_streams(base), "eager")),
            Method(f"{own}-etegrec", named(with_etegrec(base), f"{own}-etegrec")),
        ),
        ours=_named(base, OWN),
    )


def recommenders(base: Recipe) -> Experiment:
    """One fusion: the recommender over items in three kinds, TIGER and the base's own over one index, two over long IDs
    of product quantization, and five baselines."""
    kinds = ("itemknn", "sasrec", "sasrec-memory", "hstu", "related")
    baselines = tuple(method for method in _baselines(base) if method.name in kinds)
    return Experiment(
        name="recommenders",
        question="Which recommender makes most of the same semantic ids?",
        methods=(*baselines, tokenized(base, OWN), *_recommenders(base)),
        ours=f"{_called(base, OWN)}-hierarchical",
    )


def baselines(base: Recipe) -> Experiment:
    """The baselines of table 6.1 alone, SASRec beside each."""
    return Experiment(
        name="baselines",
        question="How strong are recommenders without semantic ids?",
        methods=_baselines(base),
        ours="sasrec",
    )


def ablation(base: Recipe) -> Experiment:
    """Table 6.3: semantic ids of text, of the graph, of both joined, of LETTER and of the fusion."""
    return Experiment(
        name="ablation",
        question="Is it the fusion before quantization that helps?",
        methods=tuple(tokenized(base, name) for name in _sources(base)),
        ours=_named(base, OWN),
    )


def families(base: Recipe) -> Experiment:
    """Table 6.3 with both families of recommenders: every source of semantic ids for each, in one paired table."""
    return Experiment(
        name="families",
        question="Is it the fusion before quantization that helps, whatever reads the semantic ids?",
        methods=tuple(tokenized(each, name) for each in both_families(base) for name in _sources(base)),
        ours=_named(base, OWN),
    )


def significance(base: Recipe) -> Experiment:
    """Table 6.2 and figure 6.1: the fusion beside text and LETTER, test by test."""
    return Experiment(
        name="significance",
        question="Is the fusion's advantage more than chance?",
        methods=tuple(tokenized(base, name) for name in ("text", "letter", OWN)),
        ours=_named(base, OWN),
    )


def tokenizers(base: Recipe) -> Experiment:
    """One fusion, eight ways to quantize it: RQ-VAE, residual k-means plain, trained, in few directions, balanced by
    items and by interactions, a tree, OPQ."""
    size = base.codes.tokenizer.codebook_size
    levels = base.codes.tokenizer.num_levels
    kinds: dict[str, TokenizerConfig] = {
        "rqvae": base.codes.tokenizer,
        "rqkmeans": rqkmeans.Config(num_levels=levels, codebook_size=size),
        "rqkmeans_plus": rqkmeans_plus.Config(num_levels=levels, codebook_size=size),
        "orq": orq.Config(num_levels=levels, codebook_size=size),
        "balanced": balanced.Config(num_levels=levels, codebook_size=size),
        "popular": balanced.Config(num_levels=levels, codebook_size=size, equal="interactions"),
        "hkmeans": hkmeans.Config(num_levels=levels, codebook_size=min(size, _most(levels))),
        "opq": opq.Config(num_levels=levels, codebook_size=size),
    }
    ours = tokenized(base, OWN).recipe
    methods = (Method(f"{kind}-{_backbone(base)}", _quantized(ours, kind, config)) for kind, config in kinds.items())
    return Experiment(
        name="tokenizers",
        question="How much does the way of quantizing matter?",
        methods=tuple(methods),
        ours=f"rqvae-{_backbone(base)}",
    )


def sensitivity(base: Recipe) -> Experiment:
    """Figure 6.2: how much structure and how much text count in the fusion's loss, w_s + w_t = 1."""
    ours = tokenized(base, OWN).recipe
    methods = []
    for weight in STRUCTURE_WEIGHTS:
        loss = replace(ours.fused.loss, structure_weight=weight)
        recipe = replace(ours, fused=replace(ours.fused, loss=loss))
        methods.append(Method(f"w_s-{weight:g}", recipe, at=weight))
    return Experiment(
        name="sensitivity",
        question="How much should structure count in the fusion?",
        methods=tuple(methods),
        ours="w_s-0.4",
        axis="w_s",
    )


def scaling(base: Recipe) -> Experiment:
    """Table 6.4, figures 6.3 and 6.4: the same semantic ids, larger recommenders."""
    ours = tokenized(base, OWN).recipe
    backbone = ours.model.backbone
    if isinstance(backbone, lcrec.Config):
        sized = {size: replace(backbone, model=name) for size, name in LANGUAGE_MODELS.items()}
        methods = [
            Method(f"{_named(base, OWN)}-{size:g}b", _speaking(ours, config), at=size) for size, config in sized.items()
        ]
        axis = "billion weights"
    elif isinstance(backbone, tiger.Config | hierarchical.Config):
        sized = {float(width): replace(backbone, width=width) for width in WIDTHS}
        methods = [
            Method(f"{_named(base, OWN)}-{size:g}", _speaking(ours, config), at=size) for size, config in sized.items()
        ]
        axis = "width"
    else:
        raise ConfigError(f"experiment scaling: does not know what makes the backbone '{backbone.kind}' larger")
    return Experiment(
        name="scaling",
        question="Does a larger recommender make more of the same semantic ids?",
        methods=tuple(methods),
        axis=axis,
    )


def interpretability(base: Recipe) -> Experiment:
    """Figures 6.5 and 6.6: what prefixes mean, and the users that their items share; no recommender is trained."""
    methods = (replace(tokenized(base, name), index_alone=True) for name in _sources(base))
    return Experiment(
        name="interpretability",
        question="What do the prefixes of semantic ids say of items?",
        methods=tuple(methods),
        ours=_named(base, OWN),
    )


def both_families(base: Recipe) -> tuple[Recipe, Recipe]:
    """The base and its twin of the other family: of a language model with all tasks that with the first alone, and of
    one with the first alone that with all; of any other recommender TIGER, and of TIGER the recommender over items."""
    if isinstance(base.model.backbone, lcrec.Config):
        told = base.instructions or instructions.Config()
        alone = tuple(told.tasks) == FIRST
        other = replace(told, tasks=TASKS if alone else FIRST, weights=())
        return base, replace(base, instructions=other)
    of_tiger = isinstance(base.model.backbone, tiger.Config)
    pool = base.model.pool
    twin = over_items(hierarchical.Config(), pool) if of_tiger else token_by_token(pool)
    return base, replace(base, instructions=None, model=twin)


def _baselines(base: Recipe) -> tuple[Method, ...]:
    kinds = {
        "popularity": popularity.Config(),
        "itemknn": itemknn.Config(),
        "bprmf": bprmf.Config(),
        "lightgcn": lightgcn.Config(),
        "gru4rec": gru4rec.Config(),
        "caser": caser.Config(),
        "sasrec": sasrec.Config(),
        "sasrec-bce": sasrec.Config(loss="bce"),
        "bert4rec": bert4rec.Config(),
        "hstu": hstu.Config(),
        "hgn": hgn.Config(),
        "fdsa": fdsa.Config(),
        "s3rec": s3rec.Config(),
        "related": related.Config(),
        "sasrec-memory": with_memory.Config(),
    }
    return tuple(Method(name, with_baseline(base, kind)) for name, kind in kinds.items())


def tokenized(base: Recipe, source: str) -> Method:
    """The base with semantic ids of one source and its own backbone; without baselines in its metrics."""
    name = _named(base, source)
    fusions: dict[str, FusionConfig] = {
        "text": single.Config(modality="text"),
        "graph": single.Config(modality="graph"),
        "concat": concat.Config(),
        "letter": single.Config(modality="text"),
        OWN: base.fused.fusion,
    }
    recipe = replace(
        base,
        baseline=None,
        fused=replace(base.fused, fusion=fusions[source]),
        metrics=replace(base.metrics, method=name, baselines=()),
    )
    if source == "letter":
        recipe = _quantized(recipe, "letter", letter_of(base))
        recipe = replace(recipe, metrics=replace(recipe.metrics, method=name))
    return Method(name, recipe)


def _recommenders(base: Recipe) -> tuple[Method, ...]:
    """The recommender over items on the fused ids, whole, without own vectors and without content, and TIGER;
    `parallel` and `retrieval` on long ids; but for the base's own."""
    own, pool = base.model, base.model.pool
    whole = own if isinstance(own.backbone, hierarchical.Config) else over_items(hierarchical.Config(), pool)
    shape = whole.backbone
    assert isinstance(shape, hierarchical.Config)
    name = f"{_called(base, OWN)}-hierarchical"
    kinds = {
        name: whole,
        f"{name}-ids": replace(whole, backbone=replace(shape, dense=False)),
        f"{name}-no-content": replace(whole, backbone=replace(shape, content=())),
        f"{_called(base, OWN)}-tiger": token_by_token(pool),
    }
    ours = replace(tokenized(base, OWN).recipe, instructions=None)
    found = {
        name: replace(ours, model=config, metrics=replace(ours.metrics, method=name)) for name, config in kinds.items()
    }
    size = min(base.codes.tokenizer.codebook_size, 256)
    found |= {
        made.metrics.method: made
        for made in (make(found[name], codebook_size=size) for make in (in_parallel, by_retrieval))
    }
    return tuple(Method(name, recipe) for name, recipe in found.items() if name != _named(base, OWN))


def letter_of(base: Recipe) -> letter.Config:
    """LETTER of the base's own RQ-VAE shape."""
    shape = base.codes.tokenizer
    found = letter.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size)
    return replace(found, widths=shape.widths) if isinstance(shape, rqvae.Config) else found


def _quantized(recipe: Recipe, name: str, tokenizer: TokenizerConfig) -> Recipe:
    method = f"{name}-{_backbone(recipe)}"
    return replace(
        recipe, codes=replace(recipe.codes, tokenizer=tokenizer), metrics=replace(recipe.metrics, method=method)
    )


def _speaking(recipe: Recipe, backbone: BackboneConfig) -> Recipe:
    return replace(recipe, model=replace(recipe.model, backbone=backbone))


def _named(base: Recipe, source: str) -> str:
    return f"{_called(base, source)}-{_backbone(base)}"


def _called(base: Recipe, source: str) -> str:
    """What tables call a source of semantic ids: the base's own fusion by its kind."""
    return base.fused.fusion.kind if source == OWN else source


def _sources(base: Recipe) -> tuple[str, ...]:
    """The sources, but for one that the base's own fusion is."""
    return tuple(each for each in SOURCES if each == OWN or each != base.fused.fusion.kind)


def _most(levels: int) -> int:
    """The largest codebook of a hierarchy of so many levels."""
    return next(size for size in itertools.count(2) if hkmeans.first_of(levels, size + 1) > hkmeans.MOST_CENTROIDS)


def _backbone(base: Recipe) -> str:
    """As tables call it: `tiger-llm` is a language model that is taught the first task alone, our reading of the
    thesis's TIGER-style runs."""
    kind = base.model.backbone.kind
    alone = base.instructions is None or tuple(base.instructions.tasks) == FIRST
    return "tiger-llm" if kind == "lcrec" and alone else kind
