"""Makes trials' artifacts: those of all trials first, by the driver; then those of some, once each; then the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unisid import pipeline
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Store
from unisid.compute import Compute
from unisid.log import logger
from unisid.planned import Planned
from unisid.planning import Recipe
from unisid.recipe_roles import roles_of
from unisid.runtime.trials import Asha, Kind, OnEvent, Runner, Share
from unisid.stages.codes import check_room
from unisid.trials.perform import Order, perform
from unisid.trials.plans import Plans
from unisid.trials.sharing import phases, shared_by_all
from unisid.trials.trial import Trial, share

LOG = logger(__name__)


@dataclass(frozen=True)
class Making:
    """Trials with their plans, as they were before anything was made."""

    trials: Sequence[Trial]
    plans: Plans
    recipe: Recipe
    """What the trials are variants of: what they all share is made under its name."""
    store: Store

    def plans_now(self, numbers: Sequence[int]) -> list[list[Planned]]:
        """The trials' plans as the store is now."""
        return [self.plans.now(number) for number in numbers]

    def share(self, numbers: Sequence[int], plans: Sequence[Sequence[Planned]]) -> Share:
        """The resources that a trial reserves for what only it makes; the driver makes what all trials share."""
        nouns = shared_by_all(self.plans)
        own = [[entry for entry in planned if entry.noun not in nouns] for planned in plans]
        return share([self.trials[number] for number in numbers], own)

    def shared(self, compute: Compute) -> None:
        """Make the artifacts that all trials share, under the recipe's own name unless all trials differ from it alike.

        Raises:
            ConfigError: a trial's codes cannot name as many items as the catalogue has.
        """
        for noun in shared_by_all(self.plans):
            number, entry = next((n, e) for n, plan in enumerate(self.plans) for e in plan if e.noun == noun)
            if entry.state in ("half made", "to make"):
                LOG.info(f"shared by all trials: {noun}")
                recipe = self.recipe if self._makes(self.recipe, entry) else self.trials[number].recipe
                pipeline.run(recipe, self.store, compute, pipeline.NullTracker(), noun)
            if noun == "catalog":
                self._refuse_full(number)

    def _makes(self, recipe: Recipe, entry: Planned) -> bool:
        """Whether a recipe makes this very artifact."""
        if entry.noun not in roles_of(recipe):
            return False
        return pipeline.plan(recipe, self.store, entry.noun)[-1].fingerprint == entry.fingerprint

    def _refuse_full(self, number: int) -> None:
        planned = next(entry for entry in self.plans.now(number) if entry.noun == "catalog")
        catalog = Catalog.read(self.store.place(planned.address))
        for trial, planned_of in zip(self.trials, self.plans, strict=True):
            if any(entry.noun == "codes" for entry in planned_of):
                check_room(trial.recipe.codes, catalog.num_items)

    def groups(self, runner: Runner, waiting: Sequence[int]) -> None:
        """Make what several of these trials share, once for each group."""
        plans = self.plans_now(waiting)
        for phase in phases(plans):
            makers = [waiting[n] for n in phase.makers]
            LOG.info(f"shared by some trials: {len(makers)} times {phase.noun}")

            def on_event(number: int, kind: Kind, more: Mapping[str, Any], makers: list[int] = makers) -> None:
                if "error" in more:  # the trials that need it will meet the same, and count as failed
                    LOG.info(f"{self.trials[makers[number]].name}: {last_line(str(more['error']))}")

            share = self.share(makers, [plans[n] for n in phase.makers])
            runner.run([self._order(n, phase.noun, None) for n in makers], perform, share, on_event)

    def rest(
        self,
        runner: Runner,
        waiting: Sequence[int],
        on_event: OnEvent,
        watch: str | None = None,
        asha: Asha | None = None,
    ) -> None:
        """Make what is left of each of these trials."""
        share = self.share(waiting, self.plans_now(waiting))
        runner.run([self._order(n, self.trials[n].until, watch) for n in waiting], perform, share, on_event, asha)

    def _order(self, number: int, until: str, watch: str | None) -> Order:
        return Order(self.trials[number].recipe, until, self.store.root.uri, watch)


def last_line(text: str) -> str:
    """The last line of an error's text."""
    return (text.strip().splitlines() or [""])[-1]
