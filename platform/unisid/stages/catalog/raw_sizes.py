"""About how large a catalog will be, before it is made: the rows of its raw data."""

from unisid.raw.row_counts import rows_of
from unisid.stages.catalog import Config


def raw_sizes(config: Config) -> dict[str, int]:
    """How many items and interactions a catalog's raw data have, as far as that is known without reading them all.

    Raises:
        DataError: raw data are missing.
    """
    if config.base is not None:
        return {}
    dataset = config.dataset.build()
    if not (sources := dataset.sources()):
        return {"items": sum(part["stop"] - part["start"] for part in dataset.parts() if part["table"] == "items")}
    found = {role: rows_of(sources[role]) for role in ("items", "interactions") if role in sources}
    return {role: rows for role, rows in found.items() if rows}
