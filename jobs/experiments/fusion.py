"""What each part of the fusion is worth: by vectors and codes alone, as a relation of items, and by a recommender."""

from collections.abc import Iterator
from dataclasses import replace

from jobs.experiments.thesis import letter_of
from jobs.recipes.recommenders import over_items
from jobs.recipes.shrunk import HALF
from unisid.backbones import hierarchical
from unisid.baselines import related
from unisid.encoders import steps
from unisid.experiments.definition import Experiment, Method, with_baseline
from unisid.fusion import FusionConfig, Loss, concat, shrinkage, single, uqf
from unisid.layers.recall import MemoryConfig
from unisid.planning import Recipe
from unisid.stages import embeddings, model
from unisid.tokenizers import balanced, rqkmeans

QUERIES = (1, 2, 4, 8, 16, 32)
DROPOUTS = (0.0, 0.1, 0.2, 0.35, 0.5)
STEPS = "steps"


def fusion(base: Recipe) -> Experiment:
    """The base's UQF, each of its parts changed by itself, and what it must beat: text, graph, both joined, LETTER.

    All are quantized by residual k-means of the base's shape, which learns nothing, so that the vectors alone differ;
    LETTER has a tokenizer of its own.
    """
    rows = {**_sources(base), **dict(_parts(base))}
    return Experiment(
        name="fusion",
        question="Which parts does the fusion need to be above each modality, both joined, and LETTER?",
        methods=tuple(Method(name, recipe, index_alone=True) for name, recipe in rows.items()),
        ours="uqf",
    )


def fusion_ids(base: Recipe) -> Experiment:
    """What codes carry by themselves: the recommender over items reads semantic IDs alone, without own vectors,
    content or memory, one source of codes a row."""
    config, shape = _over_items(base)
    alone = replace(shape, dense=False, content=(), memory=None)
    return _recommended(base, replace(config, backbone=alone), "ids")


def fusion_whole(base: Recipe) -> Experiment:
    """What codes add to the whole recommender over items: `fusion_ids` with own vectors, content and memory."""
    return _recommended(base, _over_items(base)[0], "whole")


def fusion_own(base: Recipe) -> Experiment:
    """What codes add to the base's own recommender, such as TIGER, which reads semantic IDs alone."""
    return _recommended(base, base.model, "own")


def _over_items(base: Recipe) -> tuple[model.Config, hierarchical.Config]:
    """The base's recommender over items, or the one that recipes have; and its backbone."""
    own = base.model.backbone
    config = base.model if isinstance(own, hierarchical.Config) else over_items(hierarchical.Config(), base.model.pool)
    assert isinstance(config.backbone, hierarchical.Config)
    return config, config.backbone


def _recommended(base: Recipe, config: model.Config, form: str) -> Experiment:
    """One recommender on the codes of every source."""
    methods = []
    for source, recipe in _sources(base).items():
        name = f"{source}-{form}"
        told = replace(recipe.metrics, method=name, baselines=())
        taught = base.instructions if form == "own" else None
        methods.append(Method(name, replace(recipe, instructions=taught, model=config, metrics=told)))
    return Experiment(
        name=f"fusion_{form}",
        question=f"Which vectors make the codes that a recommender ({form}) finds the next item by?",
        methods=tuple(methods),
        ours=f"uqf-{form}",
    )


def _sources(base: Recipe) -> dict[str, Recipe]:
    """Every source of codes by name: the parts of the fusion, both joined, LETTER, UQF, and those scaled as a whole."""
    kinds: dict[str, FusionConfig] = {
        "text": single.Config(modality="text"),
        "graph": single.Config(modality="graph"),
        "concat": concat.Config(),
    }
    rows = {name: _fused(base, kind) for name, kind in kinds.items()}
    rows["letter"] = replace(rows["text"], codes=replace(rows["text"].codes, tokenizer=letter_of(base)))
    return {**rows, "uqf": _fused(base, _uqf(base)), **_scaled_as_a_whole(base)}


def alike(base: Recipe) -> Experiment:
    """What vectors are worth as a relation of items: related items whose alike vectors are of one kind a row.

    Nothing but the fusion and the weights of a few tables is learned: seconds a row once its vectors are there.
    """
    rows = {
        "text": _fused(base, single.Config(modality="text")),
        "graph": _fused(base, single.Config(modality="graph")),
        "concat": _fused(base, concat.Config()),
        "uqf": _fused(base, _uqf(base)),
        **_scaled_as_a_whole(base),
    }
    memory = MemoryConfig(alike=("fused",))
    return Experiment(
        name="alike",
        question="Which vectors relate items best, beside what follows what and words in common?",
        methods=tuple(
            Method(name, with_baseline(recipe, related.Config(memory=memory))) for name, recipe in rows.items()
        ),
        ours="joined-steps",
    )


def _scaled_as_a_whole(base: Recipe) -> dict[str, Recipe]:
    """Fusions whose codes are scaled as a whole: the graph beside the text at half weight, or shrunk towards what texts
    predict; and those of which steps of training sequences are a part, as a modality (alone, or beside these two) or as
    what UQF is taught by, which begins as these side by side."""
    shape, loss = _uqf(base), replace(base.fused.loss, structure_weight=1.0, reconstruction_weight=0.0)
    modality = embeddings.Config(encoder=steps.Config(), keep_states=False, pool=base.embeddings.pool)
    wider = replace(base, modalities={**base.modalities, STEPS: modality})
    joined, begun = concat.Config(weights=HALF), replace(shape, start="concat", weights=HALF)
    taught = replace(base.fused, structure="steps")
    rows = {
        "steps": _fused(wider, single.Config(modality=STEPS)),
        "joined": _fused(base, joined),
        "shrinkage": _fused(base, shrinkage.Config(weights=HALF)),
        "joined-steps": _fused(wider, joined),
        "uqf-taught": _fused(replace(base, fused=taught), begun, loss),
        "uqf-joined-steps": _fused(replace(wider, fused=taught), begun, loss),
    }
    return {name: replace(row, codes=replace(row.codes, scale="whole")) for name, row in rows.items()}


def _parts(base: Recipe) -> Iterator[tuple[str, Recipe]]:
    """The fusion with one part changed, by name; what the base has already is not there twice."""
    own, loss = _uqf(base), base.fused.loss
    shapes = {
        **{f"gate-{value}": replace(own, gate=value) for value in ("learned", "half", "none")},
        **{f"order-{value}": replace(own, order=value) for value in ("parallel", "text_first", "graph_first")},
        **{f"graph-{value}": replace(own, graph=value) for value in ("layers", "mean", "last")},
        **{f"text-{value}": replace(own, text=value) for value in ("tokens", "mean")},
        **{f"queries-{value}": replace(own, num_queries=value) for value in QUERIES},
        **{f"start-{value}": replace(own, start=value) for value in ("random", "concat")},
    }
    for name, shape in shapes.items():
        if shape != own:
            yield name, _fused(base, shape)
    losses = {
        "no-reconstruction": replace(loss, reconstruction_weight=0.0),
        "structure-alone": replace(loss, structure_weight=1.0),
        "semantic-alone": replace(loss, structure_weight=0.0),
        **{f"modality-dropout-{share:g}": replace(loss, modality_dropout=share) for share in DROPOUTS},
    }
    for name, changed in losses.items():
        if changed != loss:
            yield name, _fused(base, own, changed)
    taught = {
        **{f"taught-by-{value}": replace(base.fused, structure=value) for value in ("users", "steps")},
        **{f"shared-users-by-{value}": replace(base.fused, shared_users=value) for value in ("count", "cosine")},
    }
    for name, settings in taught.items():
        if settings != base.fused:
            yield name, _fused(replace(base, fused=settings), own)


def _uqf(base: Recipe) -> uqf.Config:
    """The base's UQF; where it has another fusion, one of a laptop's size."""
    own = base.fused.fusion
    small = uqf.Config(num_queries=8, width=128, output_width=128, num_layers=2, num_heads=8)
    return own if isinstance(own, uqf.Config) else small


def _fused(base: Recipe, fusion: FusionConfig, loss: Loss | None = None) -> Recipe:
    """The base with codes of another fusion, by its own tokenizer where that is `balanced`, else residual k-means."""
    shape = base.codes.tokenizer
    plain = rqkmeans.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size)
    tokenizer = shape if isinstance(shape, balanced.Config) else plain
    return replace(
        base,
        baseline=None,
        fused=replace(base.fused, fusion=fusion, loss=loss or base.fused.loss),
        codes=replace(base.codes, tokenizer=tokenizer),
    )
