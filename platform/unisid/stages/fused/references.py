"""Gives a fusion the items of the catalog that it compares others with."""

from dataclasses import replace

import numpy as np

from unisid.fusion import FittedFusion, Fusion
from unisid.stages.fused.reading import Reader


def fitted(fusion: Fusion, reader: Reader) -> FittedFusion:
    """The fusion with its references: all items of the catalog, or a sample of `num_references` of a larger one.

    Raises:
        DataError: an item's inputs hold NaN or infinity.
    """
    assert isinstance(fusion, FittedFusion)
    if reader.num_items > fusion.num_references:
        reader = replace(reader, of=fusion.num_references)
    every = np.arange(reader.num_items)
    items, _ = reader.read(every).view(every, np.zeros(len(every), np.int64))
    fusion.fit(items)
    return fusion
