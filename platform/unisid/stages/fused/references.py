"""Gives a fusion the items of the catalog that it compares others with."""

from dataclasses import replace

import numpy as np

from unisid.config import Json
from unisid.fusion import FittedFusion, Fusion
from unisid.stages.fused.reading import Reader

REFERENCES = "references"
"""The key, in the description and the record, of how many references a fitted fusion has."""


def fit(fusion: Fusion, reader: Reader) -> Json:
    """Give a fusion its references: all items of the catalog, or a sample of `num_references` of a larger one.

    Returns how many it has, and what it found out, for the record.

    Raises:
        DataError: an item's inputs hold NaN or infinity.
    """
    assert isinstance(fusion, FittedFusion)
    if reader.num_items > fusion.num_references:
        reader = replace(reader, of=fusion.num_references)
    every = np.arange(reader.num_items)
    items, _ = reader.read(every).view(every, np.zeros(len(every), np.int64))
    found = fusion.fit(items)
    return {REFERENCES: fusion.count, **found}
