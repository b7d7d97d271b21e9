"""A search from end to end: refuse what is wrong, make what trials share, run the rest, show what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from unisid import config as settings
from unisid import pipeline
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Store
from unisid.compute import Compute
from unisid.errors import ConfigError
from unisid.pipeline import Planned
from unisid.runtime.trials import Asha, Kind, Runner, Share
from unisid.search import found, measures, trials
from unisid.search.asked import Search
from unisid.search.outcomes import Outcome
from unisid.search.perform import Order, perform
from unisid.search.running import Hearing, Running, Say, Teller
from unisid.search.sharing import phases, shared_by_all
from unisid.stages.codes import check_room


def run(
    search: Search, store: Store, compute: Compute, runner: Runner, teller: Teller, say: Say, *,
    resume: bool = False, register: bool = False,
) -> list[Outcome]:  # fmt: skip
    """Try every point; returns what became of each trial, in the order of the space.

    Raises:
        ConfigError, DriftError: before any trial starts, where the space, the machines or the search's name refuse it.
        DataError: after the table and the plots, where some trials failed.
    """
    asked = trials.expand(search.recipe, search.space, search.seeds, search.until)
    running = Running(search, store, teller, say, asked, trials.plans(asked, store))
    asha = _asha(running)
    runner.check(_share(running, list(range(len(asked))), running.plans), asha)
    running.folder.begin(search.definition, resume)
    running.over = running.folder.known(asked, running.plans)
    say(f"search {search.name}: {len(asked)} trials up to {search.until}, {len(running.over)} of them over already")
    with teller.search(search.name, _params(search)):
        _make_shared(running, compute)
        for number, trial in enumerate(asked):
            if trial.id in running.over:
                running.tell(number)
        _make_phases(running, runner)
        _make_rest(running, runner, asha)
        found.show(running)
        if register:
            found.register(running)
    found.refuse_failures(running)
    return running.results()


def _params(search: Search) -> dict[str, Any]:
    dimensions = {f"space.{key}": ", ".join(map(str, values)) for key, values in search.space.dimensions.items()}
    seeds = {"seeds": ", ".join(map(str, search.seeds))} if search.seeds else {}
    asked = {f"search.{key}": value for key, value in settings.flatten(search.definition).items()}
    return asked | dimensions | seeds | settings.flatten(settings.to_record(search.recipe))


def _asha(running: Running) -> Asha | None:
    """Ray Tune's rule for what is watched; refuses a measure whose watching stops nothing."""
    stopping, until = running.search.stopping, running.search.until
    if stopping is None:
        return None
    watched = measures.MEASURES[stopping.measure]
    if watched.noun not in {entry.noun for entry in running.plans[0]}:
        raise ConfigError(f"asha: '{stopping.measure}' judges the {watched.noun}, the trials end with the {until}; "
                          "watch an objective")  # fmt: skip
    if watched.noun in shared_by_all(running.plans):
        raise ConfigError(f"asha: all trials share one {watched.noun}, so '{stopping.measure}' tells none from another")
    if watched.curve is None and watched.noun == until:
        raise ConfigError(f"asha: '{stopping.measure}' is known when a trial is over, too late to stop it; add an "
                          "objective that takes longer (ndcg), or watch a measure with a curve (distinct)")  # fmt: skip
    epochs = (getattr(trial.recipe, watched.noun).training.epochs for trial in running.trials)
    longest = max(epochs) if watched.curve else 1
    return Asha(longest=longest, grace=stopping.grace, reduction=stopping.reduction)


def _make_shared(running: Running, compute: Compute) -> None:
    """What all trials share, by the driver; under the recipe's own name, unless all trials differ from it alike."""
    nouns, first = shared_by_all(running.plans), running.plans[0]
    for entry in (e for e in first if e.noun in nouns):
        if entry.state in ("half made", "to make"):
            running.say(f"shared by all trials: {entry.noun}")
            recipe = running.search.recipe
            if pipeline.plan(recipe, running.store, entry.noun)[-1].fingerprint != entry.fingerprint:
                recipe = running.trials[0].recipe
            pipeline.run(recipe, running.store, compute, pipeline.Silent(), running.say, entry.noun)
        if entry.noun == "catalog":
            catalog = Catalog.read(running.places(0)["catalog"])
            for trial in running.trials:
                check_room(trial.recipe.codes, catalog.num_items)


def _make_phases(running: Running, runner: Runner) -> None:
    """What some trials share, once for each group."""
    waiting = [n for n, trial in enumerate(running.trials) if trial.id not in running.over]
    plans = _plans(running, waiting)
    for phase in phases(plans):
        makers = [waiting[n] for n in phase.makers]
        running.say(f"shared by some trials: {len(makers)} times {phase.noun}")

        def hear(number: int, kind: Kind, more: Mapping[str, Any], makers: list[int] = makers) -> None:
            if "error" in more:  # the trials that need it will meet the same, and count as failed
                running.say(f"{running.trials[makers[number]].name}: {found.last_line(str(more['error']))}")

        share = _share(running, makers, [plans[n] for n in phase.makers])
        runner.run([_order(running, n, phase.noun, None) for n in makers], perform, share, hear)


def _make_rest(running: Running, runner: Runner, asha: Asha | None) -> None:
    """Every trial that is not over; those whose artifacts are all complete need no process."""
    waiting = [n for n, trial in enumerate(running.trials) if trial.id not in running.over]
    plans = dict(zip(waiting, _plans(running, waiting), strict=True))
    for number in [n for n in waiting if not pipeline.missing(plans[n])]:
        running.end(number, "complete")
        waiting.remove(number)
    if waiting:
        watch = running.search.stopping.measure if running.search.stopping else None
        orders = [_order(running, n, running.search.until, watch) for n in waiting]
        share = _share(running, waiting, [plans[n] for n in waiting])
        runner.run(orders, perform, share, Hearing(running, waiting), asha)


def _order(running: Running, number: int, until: str, watch: str | None) -> Order:
    return Order(running.trials[number].recipe, until, running.store.root.uri, watch)


def _plans(running: Running, numbers: Sequence[int]) -> list[list[Planned]]:
    """As things stand now."""
    asked = (running.trials[number] for number in numbers)
    return [pipeline.plan(trial.recipe, running.store, trial.until) for trial in asked]


def _share(running: Running, numbers: Sequence[int], plans: Sequence[Sequence[Planned]]) -> Share:
    """What a trial must hold for what is its own; what all share is the driver's."""
    nouns = shared_by_all(running.plans)
    own = [[entry for entry in planned if entry.noun not in nouns] for planned in plans]
    return trials.share([running.trials[number] for number in numbers], own)
