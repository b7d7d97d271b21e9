"""Results of a command: tables drawn in a terminal, in plain columns elsewhere; or JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from unisid.cli.news import drawable


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its head."""
    if (console := drawable()) is None:
        from unisid.report.tables import align

        print(align(rows))
        return
    from unisid.cli.terminal import table

    table(console, rows)


def json_text(value: Any) -> str:
    """A result as JSON, which has no NaN and no infinity: null stands for them, and for figures that nothing gives."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
