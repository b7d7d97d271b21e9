"""Item vectors of the artifacts that hold some, by the name of their noun.

N items, W width.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.store import Place
from unisid.errors import ConfigError

READERS: Mapping[str, Callable[[Place], NDArray[np.float32]]] = {
    "embeddings": lambda place: Embeddings.read(place).pooled(),
    "graph": lambda place: Graph.read(place).layers().mean(1),
    "fused": lambda place: Fused.read(place).vectors(),
}
"""The pooled text vector, the mean over graph layers, the fused vector, [N, W] each."""


def item_vectors(places: Mapping[str, Place], nouns: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Every item's vector [N, W] of those of the nouns that have a place."""
    return {noun: np.array(READERS[noun](places[noun]), np.float32) for noun in nouns if noun in places}


def check_nouns(where: str, nouns: Iterable[str]) -> None:
    """Raise ConfigError for a noun without item vectors."""
    for noun in nouns:
        if noun not in READERS:
            raise ConfigError(f"{where}: '{noun}' has no item vectors; must be of {', '.join(READERS)}")
