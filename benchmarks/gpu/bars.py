"""What one H100 should reach, figure by figure, and whether it was reached."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """The least, or the most, that a figure should be."""

    limit: float
    is_most: bool = False

    def holds(self, value: float) -> bool:
        return value <= self.limit if self.is_most else value >= self.limit

    def __str__(self) -> str:
        return f"at {'most' if self.is_most else 'least'} {self.limit:,g}"


FINE_TUNING, LARGE, UQF = Bar(0.20), Bar(0.35), Bar(0.40)
"""Shares of the peak: of models of about half a billion weights, of larger ones, and of UQF."""
EMBEDDED, PEAK = Bar(670_000.0), Bar(0.60)
BARS = {
    "uqf.mfu": UQF,
    "uqf.compiled_mfu": UQF,
    "language_beam.beam_256_ms": Bar(17.6, is_most=True),
    "language_training.0.5B.mfu": FINE_TUNING,
    "language_training.1.5B.mfu": LARGE,
    "language_training.3B.mfu": LARGE,
    "embedding.texts_of_64.tokens_per_second": EMBEDDED,
    "embedding.texts_of_64.mfu": PEAK,
    "embedding.texts_of_256.tokens_per_second": EMBEDDED,
    "embedding.texts_of_256.mfu": PEAK,
}
"""By section and figure. A figure that is not there, such as a compiled form, is not held against its bar."""


def flat(figures: dict[str, Any], before: str = "") -> dict[str, Any]:
    """All figures by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in figures.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def judged(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Figure -> its value, its bar, and whether the bar is met, of those that were measured."""
    figures = flat(results)
    return {
        name: {"value": figures[name], "bar": str(bar), "met": bar.holds(figures[name])}
        for name, bar in BARS.items()
        if figures.get(name) is not None
    }
