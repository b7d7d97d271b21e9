"""A search under way, seen from the driver: finished trials are evaluated, kept and logged."""

from dataclasses import dataclass, field

from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.evaluation import measures
from unisid.evaluation.estimates import Outcome, State
from unisid.log import logger
from unisid.search.definition import Search
from unisid.search.outcomes import Folder
from unisid.trials.plans import Plans
from unisid.trials.telling import ExperimentTracker, validation_curve
from unisid.trials.trial import Trial

LOG = logger(__name__)


@dataclass
class Running:
    """A search under way, seen from the driver."""

    search: Search
    store: Store
    tracker: ExperimentTracker
    trials: list[Trial]
    plans: Plans
    over: dict[str, Outcome] = field(default_factory=dict)

    @property
    def folder(self) -> Folder:
        return Folder(self.store.root / "searches" / self.search.name)

    def places(self, number: int) -> dict[str, Place]:
        """Where the artifacts of a trial lie or will lie now; others may have come to be shared."""
        return {entry.noun: self.store.place(entry.address) for entry in self.plans.now(number)}

    def end(self, number: int, state: State, note: str = "") -> None:
        """Finish a trial: evaluate what it completed, keep and log it."""
        trial, places = self.trials[number], self.places(number)
        values: dict[str, float] = {}
        seconds = 0.0
        for noun, place in places.items():
            record = read_record(place)
            if record is not None:
                values |= measures.of(self.store, noun, place)
                seconds += record.seconds * (Address.parse(record.address).name == trial.recipe.name)
        outcome = Outcome(
            id=trial.id,
            settings=trial.settings,
            seed=trial.seed,
            state=state,
            values=values,
            note=note,
            seconds=round(seconds, 3),
            fingerprint=self.plans[number][-1].fingerprint,
        )
        self.folder.keep(outcome)
        self.over[trial.id] = outcome
        self.log(number)
        figures = "  ".join(f"{name} {values[name]:.4f}" for name in self.search.texts() if name in values)
        LOG.info(f"[{len(self.over)}/{len(self.trials)}] {trial.name}: {state}{f' {note}' if note else ''}  {figures}")

    def log(self, number: int) -> None:
        """Log a trial that is over to the tracker."""
        trial, outcome = self.trials[number], self.over[self.trials[number].id]
        params = dict(trial.settings) | ({} if trial.seed is None else {"seed": trial.seed})
        curve = validation_curve(self.places(number)[trial.until])
        tags = {"state": outcome.state, "note": outcome.note[-500:], "recipe": trial.recipe.name}
        self.tracker.trial(trial.recipe.name, params, outcome.values | {"seconds": outcome.seconds}, tags, curve)

    def waiting(self) -> list[int]:
        """The trials, by number, that are not over."""
        return [number for number, trial in enumerate(self.trials) if trial.id not in self.over]

    def results(self) -> list[Outcome]:
        """In the order of the space."""
        return [self.over[trial.id] for trial in self.trials if trial.id in self.over]
