"""Reading a dataset in the test's own process."""

from fractions import Fraction

import pyarrow as pa

from unisid.datasets import DatasetConfig
from unisid.raw.time_ranges import PER_SECOND


def read_all(config: DatasetConfig) -> tuple[list[dict], list[dict]]:
    """The rows of its items and of its interactions, in order; times in seconds, exact."""
    dataset = config.build()
    parts = dataset.parts()
    assert len({tuple(part) for part in parts}) == 1, "all parts must have the same keys"
    tables = {"items": [], "interactions": []}
    for part in parts:
        table = dataset.read(part)
        ids = [name for name in ("item_id", "user_id") if name in table.column_names]
        assert all(table.schema.field(name).type == pa.string() for name in ids)
        if "timestamp" in table.column_names and pa.types.is_timestamp(kind := table.schema.field("timestamp").type):
            exact = [
                None if n is None else Fraction(n, PER_SECOND[kind.unit])
                for n in table["timestamp"].cast(pa.int64()).to_pylist()
            ]
            rows = table.drop_columns(["timestamp"]).to_pylist()
            tables["interactions"] += [row | {"timestamp": time} for row, time in zip(rows, exact, strict=True)]
        else:
            tables[part["table"]] += table.to_pylist()
    return tables["items"], tables["interactions"]
