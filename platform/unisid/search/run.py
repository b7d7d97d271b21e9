"""A search from end to end: refuse what is wrong, make what trials share, run the rest, show what came of it."""

from collections.abc import Callable
from typing import Any

from unisid import config as settings
from unisid import planning
from unisid.artifacts.store import Store
from unisid.compute import Compute
from unisid.errors import ConfigError
from unisid.evaluation import measures
from unisid.evaluation.estimates import Outcome
from unisid.log import logger
from unisid.runtime.trials import Asha, Runner
from unisid.search import results
from unisid.search.definition import Search
from unisid.search.expand import expand
from unisid.search.running import Running
from unisid.trials.events import TrialEvents
from unisid.trials.making import Making
from unisid.trials.plans import Plans
from unisid.trials.sharing import shared_by_all
from unisid.trials.telling import ExperimentTracker

LOG = logger(__name__)


def run(
    search: Search,
    store: Store,
    compute: Compute,
    runner: Runner,
    tracker: ExperimentTracker,
    show: Callable[[str], None],
    *,
    resume: bool = False,
    register: bool = False,
) -> list[Outcome]:
    """Try every point; returns what became of each trial, in the order of the space.

    Args:
        show: receives the table and the winner, as text.

    Raises:
        ConfigError, DriftError: before any trial starts, where the space, the machines or the search's name refuse it.
        DataError: after the table and the plots, where some trials failed.
    """
    trials = expand(search.recipe, search.space, search.seeds, search.until)
    running = Running(search, store, tracker, trials, Plans(trials, store))
    asha = _asha(running)
    making = Making(trials, running.plans, search.recipe, store)
    runner.check(making.share(range(len(trials)), running.plans), asha)
    running.folder.begin(search.definition, resume)
    running.over = running.folder.known(trials, running.plans)
    LOG.info(
        f"search {search.name}: {len(trials)} trials up to {search.until}, {len(running.over)} of them over already"
    )
    with tracker.search(search.name, _params(search)):
        making.shared(compute)
        for number, trial in enumerate(trials):
            if trial.id in running.over:
                running.log(number)
        making.groups(runner, running.waiting())
        _make_rest(running, making, runner, asha)
        show(results.written(running))
        if register:
            results.register(running)
    results.refuse_failures(running)
    return running.results()


def _params(search: Search) -> dict[str, Any]:
    dimensions = {f"space.{key}": ", ".join(map(str, values)) for key, values in search.space.dimensions.items()}
    seeds = {"seeds": ", ".join(map(str, search.seeds))} if search.seeds else {}
    defined = {f"search.{key}": value for key, value in settings.flatten(search.definition).items()}
    return defined | dimensions | seeds | settings.flatten(settings.to_record(search.recipe))


def _asha(running: Running) -> Asha | None:
    """Ray Tune's rule for what is watched; refuses a measure whose watching stops nothing."""
    stopping, until = running.search.stopping, running.search.until
    if stopping is None:
        return None
    watched = measures.MEASURES[stopping.measure]
    if watched.noun not in {entry.noun for entry in running.plans[0]}:
        raise ConfigError(
            f"asha: '{stopping.measure}' judges the {watched.noun}, the trials end with the {until}; watch an objective"
        )
    if watched.noun in shared_by_all(running.plans):
        raise ConfigError(f"asha: all trials share one {watched.noun}, so '{stopping.measure}' cannot compare them")
    if watched.curve is None and watched.noun == until:
        raise ConfigError(
            f"asha: '{stopping.measure}' is known when a trial is over, too late to stop it; add an "
            "objective that takes longer (ndcg), or watch a measure with a curve (distinct)"
        )
    epochs = (getattr(trial.recipe, watched.noun).training.epochs for trial in running.trials)
    longest = max(epochs) if watched.curve else 1
    return Asha(longest=longest, grace=stopping.grace, reduction=stopping.reduction)


def _make_rest(running: Running, making: Making, runner: Runner, asha: Asha | None) -> None:
    """Every trial that is not over; those whose artifacts are all complete need no process."""
    waiting = running.waiting()
    for number, planned in zip(waiting, making.plans_now(waiting), strict=True):
        if not planning.missing(planned):
            running.end(number, "complete")
    if waiting := running.waiting():
        watch = running.search.stopping.measure if running.search.stopping else None
        making.rest(runner, waiting, TrialEvents(running.trials, waiting, running.end), watch, asha)
