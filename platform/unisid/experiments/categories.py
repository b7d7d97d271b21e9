"""What a shop calls its items' kinds: a column of the catalogue, if it kept one. N items."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.tables import open_table, read_table, table_names

COLUMNS = ("categories", "category", "class", "genres")
"""Names of columns that tell a kind; the first that a catalogue has is read, each different text as a kind."""
UNKNOWN = "none given"


@dataclass(frozen=True)
class Categories:
    """Labels of some items by their category."""

    column: str
    """Where they come from."""
    labels: Int[np.ndarray, " N"]
    """Places in `names`."""
    names: list[str]


def categories_of(catalog: Catalog, rows: Int[np.ndarray, " N"]) -> Categories | None:
    """The kinds of some items; None where the catalogue has no such column, or all are of one kind."""
    files = table_names(catalog.place, "items")
    kept = set(open_table(catalog.place, files[0]).schema_arrow.names) if files else set()
    for column in COLUMNS:
        if column not in kept:
            continue
        texts = read_table(catalog.place, "items", [column])[column].combine_chunks().take(pa.array(rows))
        texts = pc.fill_null(pc.utf8_trim_whitespace(pc.cast(texts, pa.string())), "")
        encoded = pc.dictionary_encode(texts)
        names = [name or UNKNOWN for name in encoded.dictionary.to_pylist()]
        if len(names) > 1:
            return Categories(column, encoded.indices.to_numpy().astype(np.int64), names)
    return None
