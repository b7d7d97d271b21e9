"""Codes of text and graph side by side, which no other source was shown to be above (decision 19)."""

from dataclasses import replace

from unisid.fusion import TEXT, concat
from unisid.planning import Recipe
from unisid.tokenizers import rqkmeans

HALF = {TEXT: 0.5}
"""Of parts of length one: a text of a few words says less of the next item than the graph does."""


def joined(base: Recipe) -> Recipe:
    """The base with codes by residual k-means of the text at half weight beside the graph, scaled as a whole."""
    shape = base.codes.tokenizer
    tokenizer = rqkmeans.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size)
    return replace(
        base,
        fused=replace(base.fused, fusion=concat.Config(weights=HALF)),
        codes=replace(base.codes, tokenizer=tokenizer, scale="whole"),
        metrics=replace(base.metrics, method=f"joined-{base.model.backbone.kind}"),
    )
