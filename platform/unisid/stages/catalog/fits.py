"""Whether the settings of a run fit its catalogue: found before anything is made, or as soon as the catalog is
there: long before they are used."""

from collections.abc import Iterable
from typing import Any

from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.bounds import Settings


def check_planned(catalog: Any, configs: Iterable[Any]) -> None:
    """Raise ConfigError where settings cannot read the histories that the recipe's catalogue has."""
    for config in configs:
        if isinstance(config, Settings):
            config.fits_history(catalog.history_length)


def check_fits(catalog: Place, configs: Iterable[Any]) -> None:
    """Raise ConfigError where settings need more than a complete catalog has."""
    num_items = require(catalog, "catalog").counts.get("items")
    for config in configs:
        if isinstance(config, Settings) and isinstance(num_items, int):
            config.fits(num_items)
