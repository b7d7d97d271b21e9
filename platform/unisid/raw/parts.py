"""Parts of raw tables: what can be read at the same time."""

from typing import Any, Literal

Part = dict[str, Any]


def part(
    table: Literal["items", "interactions"], path: str = "", start: int = 0, stop: int = -1, partition: str = ""
) -> Part:
    """A part of a table: a file, or the range start to stop of it (or of what the dataset counts).

    Args:
        partition: what the folders of the file say of its rows, such as dt=2024-05-01.
    """
    return {"table": table, "path": path, "start": start, "stop": stop, "partition": partition}
