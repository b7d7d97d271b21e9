"""Plans of many trials: each is made once, and only what it lacked is looked for again."""

from collections.abc import Sequence
from typing import overload

from unisid.artifacts.store import Address, Store
from unisid.errors import ConfigError
from unisid.planned import Planned
from unisid.planning import look_again, plan, refuse_drift
from unisid.trials.trial import Trial


class Plans(Sequence[list[Planned]]):
    """The plans of trials as things stood at the beginning, by the trial's number; `now` says how they stand."""

    def __init__(self, trials: Sequence[Trial], store: Store) -> None:
        """Plan every trial; what several need is looked for once.

        Raises:
            DriftError: where another artifact has a trial's name.
            ConfigError: two trials would make the same artifact in the end.
        """
        self.store = store
        there: dict[str, Address] = {}
        self._first: list[list[Planned]] = []
        last = dict[str, Trial]()
        for trial in trials:
            planned = plan(trial.recipe, store, trial.until, there)
            refuse_drift(planned)
            twin = last.setdefault(planned[-1].fingerprint, trial)
            if twin is not trial:
                raise ConfigError(
                    f"space: '{twin.name}' and '{trial.name}' make the same {trial.until}; "
                    "leave one of the values out, or a setting that the other makes idle"
                )
            self._first.append(planned)
        self._now = list(self._first)

    def now(self, number: int) -> list[Planned]:
        """A trial's plan as the store is now."""
        self._now[number] = look_again(self._now[number], self.store)
        return self._now[number]

    def __len__(self) -> int:
        return len(self._first)

    @overload
    def __getitem__(self, index: int) -> list[Planned]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[Planned]]: ...
    def __getitem__(self, index: int | slice) -> list[Planned] | list[list[Planned]]:
        return self._first[index]
