"""An experiment from end to end: what is missing is made, every method is read back, and the table is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from unisid import config as settings
from unisid.artifacts.store import Place, Store
from unisid.compute import Compute
from unisid.evaluation.estimates import State
from unisid.experiments import results
from unisid.experiments.definition import Experiment, cells
from unisid.log import logger
from unisid.planning import Recipe, missing
from unisid.runtime.trials import Runner
from unisid.trials.events import TrialEvents, refuse_failures
from unisid.trials.making import Making, last_line
from unisid.trials.plans import Plans
from unisid.trials.telling import ExperimentTracker, validation_curve
from unisid.trials.trial import Trial

LOG = logger(__name__)


@dataclass
class Cells:
    """The cells of a table, each a method under a seed, and what became of them."""

    experiment: Experiment
    store: Store
    trials: list[Trial]
    plans: Plans
    failed: dict[int, str] = field(default_factory=dict)
    """Why, by the cell's number."""
    over: int = 0

    def waiting(self) -> list[int]:
        """The cells that are not complete."""
        return [number for number in range(len(self.trials)) if missing(self.plans.now(number))]

    def means(self, number: int) -> dict[str, float]:
        """The headline figures of a complete cell."""
        return results.means_of(self.store, self.trials[number])

    def end(self, number: int, state: State, note: str = "") -> None:
        """Keep and say what a cell came to."""
        if state == "complete":
            return self.done(number)
        self.failed[number] = note
        self.over += 1
        LOG.info(f"[{self.over}/{len(self.trials)}] {self.trials[number].name}: failed: {last_line(note)}")

    def done(self, number: int) -> None:
        """Say what a cell came to."""
        self.over += 1
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.means(number).items())
        LOG.info(f"[{self.over}/{len(self.trials)}] {self.trials[number].name}: {figures}")


def run(
    experiment: Experiment,
    base: Recipe,
    seeds: Sequence[int],
    store: Store,
    compute: Compute,
    runner: Runner,
    tracker: ExperimentTracker,
    show: Callable[[str], None],
) -> Place:
    """Make every cell that the store lacks, and the table of all; returns the folder with the table and the plots.

    Args:
        show: receives the table as text.

    Raises:
        ConfigError, DriftError: before anything is made.
        DataError: after the table of the others was written, where some cells failed.
    """
    trials = cells(experiment, base, seeds)
    making = Making(trials, Plans(trials, store), base, store)
    runner.check(making.share(range(len(trials)), making.plans), None)
    table = Cells(experiment, store, trials, making.plans)
    waiting = table.waiting()
    LOG.info(
        f"experiment {experiment.name} on {base.name}: {len(experiment.methods)} methods under {len(seeds)} seeds, "
        f"{len(trials) - len(waiting)} of {len(trials)} cells are there"
    )
    folder = store.root / "experiments" / f"{base.name}-{experiment.name}"
    params = {"experiment": experiment.name, "seeds": " ".join(map(str, seeds))}
    with tracker.search(folder.name, params | settings.flatten(settings.to_record(base))):
        making.shared(compute)
        for number in sorted(set(range(len(trials))) - set(waiting)):
            table.done(number)
        making.groups(runner, waiting)
        if waiting:
            making.rest(runner, waiting, TrialEvents(trials, waiting, table.end))
        complete = [n for n in range(len(trials)) if n not in table.failed]
        for number in complete:
            _log_cell(table, number, tracker)
        if complete:
            show(results.write(folder, experiment, store, [trials[n] for n in complete]))
            tracker.publish(folder.name, {}, folder)
    failed = {trials[number].name: note for number, note in table.failed.items()}
    refuse_failures(f"experiment {experiment.name}", failed, f"{len(trials)} cells", "the same command")
    return folder


def _log_cell(table: Cells, number: int, tracker: ExperimentTracker) -> None:
    trial = table.trials[number]
    place = results.place_of(table.store, trial)
    figures = {name.replace("@", "_at_").replace(" ", "_"): value for name, value in table.means(number).items()}
    params = {"method": trial.settings["method"], "seed": trial.seed}
    tracker.trial(trial.recipe.name, params, figures, {"recipe": trial.recipe.name}, validation_curve(place))
