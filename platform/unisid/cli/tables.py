"""Tables of a command's results: drawn in a terminal, in plain columns elsewhere."""

from collections.abc import Sequence

from unisid.cli.news import drawable
from unisid.report.tables import align


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its head."""
    if (console := drawable()) is None:
        print(align(rows))
        return
    from unisid.cli.terminal import table

    table(console, rows)
