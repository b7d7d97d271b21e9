"""Compares what a catalog holds with the counts that a paper publishes of the same data set."""

from collections.abc import Mapping
from typing import Any

from unisid.artifacts.catalog import SPLITS
from unisid.config import did_you_mean
from unisid.errors import ConfigError

SAMPLES = "samples"
"""The samples of all splits together."""
NAMES = ("users", "items", "interactions", SAMPLES, *SPLITS)
"""The counts that a paper may publish."""


def check_names(published: Mapping[str, int]) -> None:
    """Raises ConfigError for a count that no catalog has."""
    for name in published:
        if name not in NAMES:
            raise ConfigError(
                f"catalog.published: no count '{name}'{did_you_mean(name, NAMES)}; must be one of {', '.join(NAMES)}"
            )


def compared(counts: Mapping[str, Any], published: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Of every published count, what is `published` and what was `found`."""
    found = {**counts, SAMPLES: sum(counts[split] for split in SPLITS)}
    return {name: {"published": published[name], "found": found[name]} for name in NAMES if name in published}


def in_words(counts: Mapping[str, Any]) -> str:
    """Whether a catalog has the published counts, and which differ by how much; nothing where none are published."""
    both = counts.get("published", {})
    if not both:
        return ""
    apart = [
        f"{name} {pair['found']:,} ({pair['found'] - pair['published']:+,} of {pair['published']:,})"
        for name, pair in both.items()
        if pair["found"] != pair["published"]
    ]
    if not apart:
        equal = ", ".join(f"{name} {pair['found']:,}" for name, pair in both.items())
        return f"the counts are the published ones: {equal}"
    same = len(both) - len(apart)
    return f"the counts are not the published ones ({same} of {len(both)} are): {', '.join(apart)}"
