"""Definition of a search."""

from dataclasses import asdict, dataclass
from typing import Annotated

from unisid.bounds import LARGE, Count, Range, Settings
from unisid.config import Json
from unisid.evaluation import measures
from unisid.planning import Recipe
from unisid.report.search import short
from unisid.search.space import Space


@dataclass(frozen=True, kw_only=True)
class Stopping(Settings):
    """Which trials end early."""

    measure: str
    """What they are compared by while they run."""
    grace: Count = 1
    """Epochs before the first comparison; for a measure that is known once, 1."""
    reduction: Annotated[float, Range(1, LARGE, above=True)] = 3.0
    """One in so many goes on."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search's settings."""

    recipe: Recipe
    """What every trial is a variant of."""
    space: Space
    seeds: tuple[int, ...] = ()
    """Every point is tried under each; none: under the recipe's own."""
    objectives: tuple[str, ...] = ("index",)
    """Measures, the first decides."""
    stopping: Stopping | None = None
    called: str = ""
    """The search's own name; by default the recipe's and the dimensions'."""

    def __post_init__(self) -> None:
        measures.check(self.objectives)
        if self.stopping is not None:
            measures.check([self.stopping.measure])

    @property
    def until(self) -> str:
        """The last artifact of every trial."""
        return measures.last_noun(self.objectives)

    @property
    def name(self) -> str:
        return self.called or "-".join([self.recipe.name, *short(list(self.space.dimensions))])

    @property
    def definition(self) -> Json:
        """The part of a search that a resumed one must agree on; values and seeds may be added."""
        return {
            "recipe": self.recipe.name,
            "version": self.recipe.version,
            "dimensions": ", ".join(self.space.dimensions),
            "objectives": ", ".join(self.objectives),
            "stopping": asdict(self.stopping) if self.stopping else None,
        }

    def texts(self) -> dict[str, str]:
        """The measures that plots draw: the objectives, and the hit rate beside NDCG."""
        names = [*self.objectives, *(["hr"] if "ndcg" in self.objectives and "hr" not in self.objectives else [])]
        return {name: measures.MEASURES[name].text for name in names}
