"""Codes of text and graph by shrinkage, in balance: no other source was shown to be above them (decision 22)."""

from dataclasses import replace

from unisid.fusion import TEXT, shrinkage
from unisid.planning import Recipe
from unisid.tokenizers import balanced

HALF = {TEXT: 0.5}
"""Of parts of length one: a text of a few words says less of the next item than the graph does."""


def shrunk(base: Recipe) -> Recipe:
    """The base with codes that hold equally many interactions, of the graph as far as these support it and of texts."""
    shape = base.codes.tokenizer
    tokenizer = balanced.Config(num_levels=shape.num_levels, codebook_size=shape.codebook_size, equal="interactions")
    return replace(
        base,
        fused=replace(base.fused, fusion=shrinkage.Config(weights=HALF)),
        codes=replace(base.codes, tokenizer=tokenizer, scale="whole"),
        metrics=replace(base.metrics, method=f"shrinkage-{base.model.backbone.kind}"),
    )
