"""A search under way, seen from the driver: what is over is judged, kept and told."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unisid import pipeline
from unisid.artifacts.curve import read_curve
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.evaluation import measures
from unisid.pipeline import Planned
from unisid.runtime.trials import Kind
from unisid.search.definition import Search
from unisid.search.outcomes import Folder, Outcome, State
from unisid.trials.making import Say
from unisid.trials.telling import Teller
from unisid.trials.trial import Trial


@dataclass
class Running:
    """A search under way, seen from the driver."""

    search: Search
    store: Store
    teller: Teller
    say: Say
    trials: list[Trial]
    plans: list[list[Planned]]
    over: dict[str, Outcome] = field(default_factory=dict)

    @property
    def folder(self) -> Folder:
        return Folder(self.store.root / "searches" / self.search.name)

    def places(self, number: int) -> dict[str, Place]:
        """Where the artifacts of a trial lie or will lie; replanned, for others may have come to be shared."""
        trial = self.trials[number]
        return {e.noun: self.store.place(e.address) for e in pipeline.plan(trial.recipe, self.store, trial.until)}

    def end(self, number: int, state: State, note: str = "") -> None:
        """A trial is over: judge what it completed, keep it, tell of it."""
        trial, places = self.trials[number], self.places(number)
        values: dict[str, float] = {}
        seconds = 0.0
        for noun, place in places.items():
            record = read_record(place)
            if record is not None:
                values |= measures.of(self.store, noun, place)
                seconds += record.seconds * (Address.parse(record.address).name == trial.recipe.name)
        outcome = Outcome(id=trial.id, settings=trial.settings, seed=trial.seed, state=state, values=values, note=note,
                          seconds=round(seconds, 3), fingerprint=self.plans[number][-1].fingerprint)  # fmt: skip
        self.folder.keep(outcome)
        self.over[trial.id] = outcome
        self.tell(number)
        figures = "  ".join(f"{name} {values[name]:.4f}" for name in self.search.texts() if name in values)
        self.say(f"[{len(self.over)}/{len(self.trials)}] {trial.name}: {state}{f' {note}' if note else ''}  {figures}")

    def tell(self, number: int) -> None:
        trial, outcome = self.trials[number], self.over[self.trials[number].id]
        params = dict(trial.settings) | ({} if trial.seed is None else {"seed": trial.seed})
        curve = [p for p in read_curve(self.places(number)[trial.until]) if p[1].startswith("valid_")]
        tags = {"state": outcome.state, "note": outcome.note[-500:], "recipe": trial.recipe.name}
        self.teller.trial(trial.recipe.name, params, outcome.values | {"seconds": outcome.seconds}, tags, curve)

    def waiting(self) -> list[int]:
        """The trials, by number, that are not over."""
        return [number for number, trial in enumerate(self.trials) if trial.id not in self.over]

    def results(self) -> list[Outcome]:
        """In the order of the space."""
        return [self.over[trial.id] for trial in self.trials if trial.id in self.over]


class Hearing:
    """What the driver does on hearing of its trials."""

    def __init__(self, running: Running, waiting: Sequence[int]) -> None:
        self.running, self.waiting = running, waiting
        self.begun: dict[int, int] = {}
        self.last: dict[int, Mapping[str, Any]] = {}
        self.shown = time.monotonic()

    def __call__(self, number: int, kind: Kind, more: Mapping[str, Any]) -> None:
        running, which = self.running, self.waiting[number]
        name = running.trials[which].name
        if kind == "begun":
            self.begun[number] = self.begun.get(number, 0) + 1
            running.say(f"{name}: {'begun' if self.begun[number] == 1 else 'begun again, its process died'}")
        elif kind == "told":
            self.last[number] = more
            if time.monotonic() - self.shown > 5.0:
                self.shown = time.monotonic()
                running.say(f"{name}: epoch {more['time']:g}, {more['value']:.4f}")
        elif kind == "done" and "error" not in more:
            running.end(which, "complete")
        elif kind == "stopped":
            last = self.last.get(number, {"time": 0, "value": float("nan")})
            running.end(which, "stopped", f"after {last['time']:g} at {last['value']:.4f}")
        else:
            running.end(which, "failed", str(more["error"]))
