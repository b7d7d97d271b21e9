"""Items by their semantic ids: what lists of ids stand for. Items that share an id are ties. N items, L levels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.errors import DataError
from unisid.ops.semantic_ids import parse, spell

NONE = -1
"""The item of an id that no item has: it keeps its place in a list."""


@dataclass(frozen=True)
class Spelled:
    """The items of a catalog by their semantic ids."""

    where: str
    """The index, as errors call it."""
    items: Mapping[tuple[int, ...], NDArray[np.int64]]

    @classmethod
    def of(cls, where: str, codes: NDArray[np.int32]) -> "Spelled":
        """Of an index's codes [N, L]."""
        found: dict[tuple[int, ...], list[int]] = {}
        for item, each in enumerate(codes.tolist()):
            found.setdefault(tuple(each), []).append(item)
        return cls(where, {each: np.array(items, np.int64) for each, items in found.items()})

    def read(self, path: str, texts: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The entry of each item and the item, `NONE` for an id that no item has; an entry's items stand together.

        Raises:
            DataError: no item has any of the ids.
        """
        encoded = texts.combine_chunks().dictionary_encode()
        items = [self._items(text) for text in encoded.dictionary.to_pylist()]
        if all(each[0] == NONE for each in items):
            own = spell(next(iter(self.items)))
            raise DataError(
                f"{path}: no item of {self.where} has any of its ids, such as '{encoded.dictionary[0].as_py():.60}'; "
                f"there they look like '{own}'; give the index that its lists were made with: --ids FILE"
            )
        place, sizes = encoded.indices.to_numpy(), np.array([len(each) for each in items])
        counts, starts = sizes[place], (np.cumsum(sizes) - sizes)[place]
        entry = np.repeat(np.arange(len(place)), counts)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts)
        return entry, np.concatenate(items)[np.repeat(starts, counts) + within]

    def unlike(self, texts: pa.ChunkedArray, items: NDArray[Any]) -> tuple[str, int] | None:
        """The first id that does not stand for the item beside it, and that item; None where all do."""
        encoded = texts.combine_chunks().dictionary_encode()
        known = encoded.dictionary.to_pylist()
        for place, item in np.unique(np.column_stack([encoded.indices.to_numpy(), items]), axis=0).tolist():
            if item not in self._items(known[place]):
                return known[place], item
        return None

    def _items(self, text: str) -> NDArray[np.int64]:
        try:
            return self.items.get(parse(text), np.array([NONE]))
        except DataError:  # a language model may write anything
            return np.array([NONE])
