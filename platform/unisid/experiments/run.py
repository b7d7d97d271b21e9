"""An experiment from end to end: what is missing is made, every method is read back, and the table is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unisid import config as settings
from unisid.artifacts.curve import read_curve
from unisid.artifacts.store import Place, Store
from unisid.compute import Compute
from unisid.errors import DataError
from unisid.experiments import results
from unisid.experiments.definition import Experiment, cells
from unisid.pipeline import Recipe, missing, plan
from unisid.runtime.trials import Kind, Runner
from unisid.trials.making import Making, Say, last_line
from unisid.trials.telling import Teller
from unisid.trials.trial import Trial, plans


@dataclass
class Cells:
    """The cells of a table, each a method under a seed, and what became of them."""

    experiment: Experiment
    store: Store
    trials: list[Trial]
    say: Say
    failed: dict[int, str] = field(default_factory=dict)
    """Why, by the cell's number."""
    over: int = 0

    def waiting(self) -> list[int]:
        """The cells that are not complete."""
        plans = (plan(trial.recipe, self.store, trial.until) for trial in self.trials)
        return [number for number, planned in enumerate(plans) if missing(planned)]

    def means(self, number: int) -> dict[str, float]:
        """The headline figures of a complete cell."""
        return results.means_of(self.store, self.trials[number])

    def done(self, number: int) -> None:
        """Say what a cell came to."""
        self.over += 1
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.means(number).items())
        self.say(f"[{self.over}/{len(self.trials)}] {self.trials[number].name}: {figures}")


class Hearing:
    """What the driver does on hearing of the cells that are being made."""

    def __init__(self, table: Cells, numbers: Sequence[int]) -> None:
        self.table, self.numbers = table, numbers

    def __call__(self, number: int, kind: Kind, more: Mapping[str, Any]) -> None:
        which = self.numbers[number]
        name = self.table.trials[which].name
        if kind == "begun":
            self.table.say(f"{name}: begun")
        elif kind == "done" and "error" not in more:
            self.table.done(which)
        elif "error" in more:
            self.table.failed[which] = str(more["error"])
            self.table.over += 1
            self.table.say(f"[{self.table.over}/{len(self.table.trials)}] {name}: failed: "
                           f"{last_line(str(more['error']))}")  # fmt: skip


def run(
    experiment: Experiment, base: Recipe, seeds: Sequence[int], store: Store, compute: Compute, runner: Runner,
    teller: Teller, say: Say,
) -> Place:  # fmt: skip
    """Make every cell that the store lacks, and the table of all; returns the folder with the table and the plots.

    Raises:
        ConfigError, DriftError: before anything is made.
        DataError: after the table of the others was written, where some cells failed.
    """
    asked = cells(experiment, base, seeds)
    making = Making(asked, plans(asked, store), base, store, say)
    runner.check(making.share(range(len(asked)), making.plans), None)
    table = Cells(experiment, store, asked, say)
    waiting = table.waiting()
    say(f"experiment {experiment.name} on {base.name}: {len(experiment.methods)} methods under {len(seeds)} seeds, "
        f"{len(asked) - len(waiting)} of {len(asked)} cells are there")  # fmt: skip
    folder = store.root / "experiments" / f"{base.name}-{experiment.name}"
    params = {"experiment": experiment.name, "seeds": " ".join(map(str, seeds))}
    with teller.search(folder.name, params | settings.flatten(settings.to_record(base))):
        making.shared(compute)
        for number in sorted(set(range(len(asked))) - set(waiting)):
            table.done(number)
        making.groups(runner, waiting)
        if waiting:
            making.rest(runner, waiting, Hearing(table, waiting))
        complete = [n for n in range(len(asked)) if n not in table.failed]
        for number in complete:
            _tell(table, number, teller)
        if complete:
            results.write(folder, experiment, store, [asked[n] for n in complete], say)
            teller.publish(folder.name, {}, folder)
    _refuse_failures(table)
    return folder


def _tell(table: Cells, number: int, teller: Teller) -> None:
    trial = table.trials[number]
    place = results.place_of(table.store, trial)
    curve = [point for point in read_curve(place) if point[1].startswith("valid_")]
    figures = {name.replace("@", "_at_").replace(" ", "_"): value for name, value in table.means(number).items()}
    params = {"method": trial.settings["method"], "seed": trial.seed}
    teller.trial(trial.recipe.name, params, figures, {"recipe": trial.recipe.name}, curve)


def _refuse_failures(table: Cells) -> None:
    if table.failed:
        lines = "\n".join(f"  {table.trials[n].name}: {last_line(note)}" for n, note in table.failed.items())
        raise DataError(f"experiment {table.experiment.name}: {len(table.failed)} of {len(table.trials)} cells failed; "
                        f"the table holds the others, the same command tries these again\n{lines}")  # fmt: skip
