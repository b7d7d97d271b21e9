"""Which of the figures that a stage reports would be shown with the details alone."""

from collections.abc import Iterable, Mapping

from unisid.legend import figure
from unisid.progress import TOTAL


def without_words(noun: str, reports: Iterable[Mapping[str, float]]) -> set[str]:
    """The names of reported figures without words; those of counts say it all."""
    names = {name for values in reports for name in values}
    counted = {name.removesuffix(TOTAL) for name in names if name.endswith(TOTAL)}
    named = {f"{name}{ending}" for name in counted for ending in ("_done", TOTAL, "_per_second")}
    return {name for name in names - named if figure(noun, name) is None}
