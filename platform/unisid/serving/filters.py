"""Masks of the items that a request allows, from its rule, partition and lists of ids. N items."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from unisid.config import did_you_mean
from unisid.errors import ConfigError, DataError
from unisid.serving.columns import Columns

Mask = Bool[np.ndarray, " N"]
CACHED = 1 << 28
"""Bytes of masks that are kept, the most recently used ones."""


@dataclass
class Filters:
    """Compiles rules over columns, once each; partitions are rules with a name.

    Raises:
        ConfigError: from the constructor, for a partition whose rule does not fit the columns.
    """

    columns: Columns
    partitions: Mapping[str, str] = field(default_factory=dict)
    kept: int = CACHED
    compiled: int = 0
    """Rules compiled so far."""

    def __post_init__(self) -> None:
        self._masks: OrderedDict[str, Mask] = OrderedDict()
        self._lock = threading.Lock()
        for name, rule in self.partitions.items():
            try:
                self.rule(rule)
            except DataError as error:
                raise ConfigError(f"partition '{name}': {error}") from None

    def rule(self, rule: str) -> Mask:
        """The mask [N] of the items that satisfy a rule; raises DataError for what is no rule."""
        key = rule.strip()
        with self._lock:
            if key in self._masks:
                self._masks.move_to_end(key)
                return self._masks[key]
        mask = self.columns.items(key)
        mask.flags.writeable = False
        with self._lock:
            self.compiled += 1
            self._masks[key] = mask
            while len(self._masks) > max(1, self.kept // max(1, mask.nbytes)):
                self._masks.popitem(last=False)
        return mask

    def partition(self, name: str) -> Mask:
        """The mask [N] of a partition; raises DataError where there is none of this name."""
        if name not in self.partitions:
            guess = did_you_mean(name, self.partitions)
            raise DataError(f"partition '{name}': is not one of {', '.join(self.partitions) or 'none'}{guess}")
        return self.rule(self.partitions[name])

    def of(self, rule: str, partition: str) -> Mask | None:
        """The mask [N] of a rule and a partition; None for all items."""
        named = self.partition(partition) if partition else None
        ruled = self.rule(rule) if rule else None
        if named is None or ruled is None:
            return ruled if named is None else named
        return named & ruled

    def categories(self, column: str) -> tuple[Int[np.ndarray, " N"], list[object]]:
        """Each item's category by a column, and the categories; a missing value is one of its own.

        Raises:
            DataError: for an unknown column, or one of lists.
        """
        if column not in self.columns.values:
            raise DataError(
                f"quota: no column '{column}'{did_you_mean(column, self.columns.values)}; there are "
                f"{', '.join(self.columns.values)}"
            )
        values = self.columns.values[column]
        if pa.types.is_list(values.type):
            raise DataError(f"quota: '{column}' is a column of lists; must be one of single values")
        encoded = pc.dictionary_encode(values, null_encoding="encode")
        return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def restricted(mask: Mask | None, num_items: int, items: Iterable[int], allowed: bool) -> Mask:
    """A copy of a mask, restricted to some items (`allowed`) or without them."""
    numbers = np.fromiter(items, np.int64)
    if not allowed:
        found = np.ones(num_items, bool) if mask is None else mask.copy()
        found[numbers] = False
        return found
    found = np.zeros(num_items, bool)
    found[numbers] = True if mask is None else mask[numbers]
    return found
