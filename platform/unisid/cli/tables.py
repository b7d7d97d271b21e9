"""Results of a command: tables drawn in a terminal, in plain columns elsewhere; or JSON."""

from collections.abc import Sequence

from unisid.cli.news import drawable
from unisid.config import json_text as json_text


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its head."""
    if (console := drawable()) is None:
        from unisid.report.tables import align

        print(align(rows))
        return
    from unisid.cli.terminal import table

    table(console, rows)
