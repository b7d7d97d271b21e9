"""What each part of the fusion is worth, judged by vectors and codes alone: no recommender is trained."""

from collections.abc import Iterator
from dataclasses import replace

from jobs.experiments.thesis import letter_of
from unisid.experiments.definition import Experiment, Method
from unisid.fusion import FusionConfig, Loss, concat, single, uqf
from unisid.pipeline import Recipe
from unisid.tokenizers import rqkmeans

QUERIES = (1, 2, 4, 8, 16, 32)
DROPOUTS = (0.0, 0.1, 0.2, 0.35, 0.5)


def fusion(base: Recipe) -> Experiment:
    """The base's UQF, each of its parts changed by itself, and what it must beat: text, graph, both joined, LETTER.

    All are quantized by residual k-means of the base's shape, which learns nothing, so that the vectors alone differ;
    LETTER has a tokenizer of its own.
    """
    kinds: dict[str, FusionConfig] = {
        "text": single.Config(modality="text"),
        "graph": single.Config(modality="graph"),
        "concat": concat.Config(),
    }
    plain = [Method(name, _fused(base, kind), index_alone=True) for name, kind in kinds.items()]
    text = plain[0].recipe
    letter = replace(text, codes=replace(text.codes, tokenizer=letter_of(base)))
    return Experiment(
        name="fusion",
        question="Which parts does the fusion need to be above each modality, both joined, and LETTER?",
        methods=(
            *plain,
            Method("letter", letter, index_alone=True),
            Method("uqf", _fused(base, _uqf(base)), index_alone=True),
            *(Method(name, recipe, index_alone=True) for name, recipe in _parts(base)),
        ),
        ours="uqf",
    )


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
    shape = base.codes.tokenizer
    tokenizer = rqkmeans.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size)
    return replace(
        base,
        baseline=None,
        fused=replace(base.fused, fusion=fusion, loss=loss or base.fused.loss),
        codes=replace(base.codes, tokenizer=tokenizer),
    )
