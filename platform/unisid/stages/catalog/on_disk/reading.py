"""The raw tables, part by part, into a database: `all_items`, `given`."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from unisid.stages import catalog as stage
from unisid.stages.catalog.on_disk.database import Database
from unisid.stages.catalog.parts import joined, like, with_rows
from unisid.stages.catalog.policies import rated_enough
from unisid.stages.catalog.reading import Pieces

COMPRESSION = pa.ipc.IpcWriteOptions(compression="lz4")


def load_items(database: Database, pieces: Pieces, config: stage.Config) -> pa.Table:
    """Fill `all_items` with the items in their order: columns c0, c1, ... as the table that is returned has them, which
    holds one item of each part, and `allowed` by the title rules."""

    def columns(piece: pa.Table) -> pa.Table:
        numbered = piece.rename_columns([f"c{n}" for n in range(piece.num_columns)])
        return numbered.append_column("allowed", pa.array(stage.allowed_by_title(config, piece)))

    return _load(database, "all_items", pieces, columns)


def load_interactions(database: Database, pieces: Pieces, config: stage.Config) -> pa.Table:
    """Fill `given` with the interactions in their order: user_id, item_id, time, event, and whether the rating is too
    `low`, 2 where there is none; the table that is returned holds one interaction of each part."""

    def columns(piece: pa.Table) -> pa.Table:
        names = piece.column_names
        low = np.zeros(piece.num_rows, np.int8)
        if "rating" in names and config.least_rating is not None:
            _, why = rated_enough(piece, config.least_rating)
            low = np.where(why["no_rating"], 2, why["low_rating"]).astype(np.int8)
        return pa.table(
            {
                "user_id": piece["user_id"],
                "item_id": piece["item_id"],
                "time": piece["position" if "position" in names else "timestamp"].cast(pa.int64()),
                "event": piece["event"] if "event" in names else pa.nulls(piece.num_rows, pa.string()),
                "low": low,
            }
        )

    return _load(database, "given", pieces, columns)


def _load(database: Database, name: str, pieces: Pieces, columns: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Fill a table with what `columns` makes of each part, once what all have in common is known."""
    folder, heads, rows = database.folder, list[pa.Table](), dict[int, int]()
    for piece in pieces.tables:
        if piece.num_rows:
            number = piece["part"][0].as_py()
            heads.append(_head(piece))
            rows[number] = piece.num_rows
            with pa.ipc.new_file(folder / f"{pieces.name}-{number}.arrow", piece.schema, options=COMPRESSION) as file:
                file.write_table(piece)
    whole = joined(pieces.name, heads, pieces.paths)
    for number in sorted(rows):
        path = folder / f"{pieces.name}-{number}.arrow"
        with pa.memory_map(str(path)) as source:
            database.add(name, columns(like(pa.ipc.open_file(source).read_all(), whole)))
        path.unlink()
    return with_rows(whole, sorted(rows.items()))


def _head(piece: pa.Table) -> pa.Table:
    """The first row, which holds nothing of the others."""
    first = piece.slice(0, 1)
    plain = [
        (field.name, first[field.name].cast(field.type.value_type) if pa.types.is_dictionary(field.type) else None)
        for field in piece.schema
    ]
    return pa.table({name: first[name].take([0]) if values is None else values for name, values in plain})
