"""Items by their semantic ids: what lists of ids stand for. Items that share an id are ties. N items, L levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.errors import DataError
from unisid.ops.prefixes import row_keys
from unisid.ops.semantic_ids import parse, spell

NONE = -1
"""The item of an id that no item has: it keeps its place in a list."""


@dataclass(frozen=True)
class ItemsOfIds:
    """Look-up of the items of a catalog by their semantic ids."""

    where: str
    """The index, as errors call it."""
    codes: NDArray[np.int32]
    """[N, L]."""

    def read(self, path: str, texts: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The entry of each item and the item, `NONE` for an id that no item has; an entry's items stand together.

        Raises:
            DataError: no item has any of the ids.
        """
        encoded = texts.combine_chunks().dictionary_encode()
        items, sizes = self._items(encoded.dictionary.to_pylist())
        if not sizes.any():
            raise DataError(
                f"{path}: no item of {self.where} has any of its ids, such as '{encoded.dictionary[0].as_py():.60}'; "
                f"there they look like '{spell(self.codes[0].tolist())}'; give the index that its lists were made "
                "with: --ids FILE"
            )
        items, starts = np.append(items, NONE), np.where(sizes > 0, np.cumsum(sizes) - sizes, len(items))
        place = encoded.indices.to_numpy()
        counts = np.maximum(sizes, 1)[place]
        entry = np.repeat(np.arange(len(place)), counts)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts)
        return entry, items[starts[place][entry] + within]

    def unlike(self, texts: pa.ChunkedArray, items: NDArray[Any]) -> tuple[str, int] | None:
        """The first id that does not stand for the item beside it, and that item; None where all do."""
        encoded = texts.combine_chunks().dictionary_encode()
        known = encoded.dictionary.to_pylist()
        for place, item in np.unique(np.column_stack([encoded.indices.to_numpy(), items]), axis=0).tolist():
            if _codes(known[place]) != tuple(self.codes[item].tolist()):
                return known[place], item
        return None

    def _items(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The items of every text's id, one text after another, and how many each has."""
        parsed = [_codes(text) for text in texts]
        at = [place for place, each in enumerate(parsed) if len(each) == self.codes.shape[1]]
        wanted = np.array([parsed[place] for place in at], np.int64).reshape(len(at), self.codes.shape[1])
        keys = row_keys(np.concatenate([self.codes, wanted]))
        own, theirs = keys[: len(self.codes)], keys[len(self.codes) :]
        order = np.argsort(own, kind="stable")
        left, right = (np.searchsorted(own[order], theirs, side) for side in ("left", "right"))
        sizes = np.zeros(len(texts), np.int64)
        sizes[at] = right - left
        inside = np.arange(sizes.sum()) - np.repeat(np.cumsum(right - left) - (right - left), right - left)
        return order[np.repeat(left, right - left) + inside], sizes


def _codes(text: str) -> tuple[int, ...]:
    """The codes that a text spells; none where it spells no id, for a language model may write anything."""
    try:
        return parse(text)
    except DataError:
        return ()
