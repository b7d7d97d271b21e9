"""`unisid search`."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from unisid.cli.configured import RecipeCommand
from unisid.cli.options import UNSAID, Flag, Machines, several, shown, text
from unisid.config import json_text
from unisid.log import logger

if TYPE_CHECKING:
    from unisid.planning import Recipe
    from unisid.search import definition

LOG = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Search(RecipeCommand):
    """Try a recipe's settings out, and show what they change."""

    writes = True
    space: Annotated[tuple[str, ...], several(str, "KEY=VALUE,VALUE"), UNSAID] = ()
    """settings and the values that each takes, or ready spaces by name; all combinations are tried"""
    seeds: Annotated[tuple[int, ...], several(int, "SEED"), UNSAID] = ()
    """try every point under each"""
    objective: Annotated[tuple[str, ...], several(str, "MEASURE")] = ("index",)
    """by what to judge, the first decides: index, ndcg, hr, distinct, entropy, ..."""
    asha: Annotated[str | None, text("MEASURE")] = None
    """stop trials early that are behind in this measure"""
    grace: int = 1
    """epochs before the first may be stopped"""
    reduction: float = 3.0
    """one in so many goes on"""
    concurrent: Annotated[int | None, shown("INT", "as many as fit")] = None
    """at most so many trials at once"""
    called: Annotated[str | None, text("NAME", "the recipe's and the settings'")] = None
    """the search's name"""
    resume: Flag = False
    """go on with a search that was begun"""
    register: Flag = False
    """register the winner in MLflow, as a candidate"""
    compute: Machines = "ray"
    """where the work is done"""
    json: Flag = False
    """print JSON instead of a table"""

    def act(self) -> None:
        from unisid.evaluation.estimates import best
        from unisid.search.run import run

        defined, session = self._defined(self.configured()), self.session
        store = session.opened
        with session.machines(self.compute) as compute:
            runner = session.runner(self.compute, compute, self.concurrent)
            tracker = session.experiment_tracker()
            said = LOG.debug if self.json else print
            found = run(defined, store, compute, runner, tracker, said, resume=self.resume, register=self.register)
        if self.json:
            winner = best(found, defined.objectives[0])
            body = {"name": defined.name, "best": winner and winner.settings, "trials": list(map(asdict, found))}
            print(json_text(body))

    def _defined(self, recipe: Recipe) -> definition.Search:
        from unisid.search import definition, space

        stopping = (
            definition.Stopping(measure=self.asha, grace=self.grace, reduction=self.reduction) if self.asha else None
        )
        return definition.Search(
            recipe=recipe,
            space=space.parse(self.space),
            seeds=self.seeds,
            called=self.called or "",
            objectives=self.objective,
            stopping=stopping,
        )
