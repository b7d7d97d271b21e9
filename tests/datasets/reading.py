"""Reading a dataset in the test's own process."""

import pyarrow as pa

from unisid.datasets import DatasetConfig


def read_all(config: DatasetConfig) -> tuple[list[dict], list[dict]]:
    """The rows of its items and of its interactions, in order."""
    dataset = config.build()
    parts = dataset.parts()
    assert len({tuple(part) for part in parts}) == 1, "all parts must have the same keys"
    tables = {"items": [], "interactions": []}
    for part in parts:
        table = dataset.read(part)
        ids = [name for name in ("item_id", "user_id") if name in table.column_names]
        assert all(table.schema.field(name).type == pa.string() for name in ids)
        tables[part["table"]] += table.to_pylist()
    return tables["items"], tables["interactions"]
