"""Each trial's outcome, kept in the search's folder: what its artifacts alone do not record."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from unisid.artifacts.store import Place
from unisid.config import Json, differences
from unisid.errors import ArtifactError, ConfigError
from unisid.evaluation.estimates import Outcome
from unisid.masked import masked
from unisid.planned import Planned
from unisid.trials.trial import Trial

DEFINITION = "search.json"


@dataclass(frozen=True)
class Folder:
    """A search's own files."""

    place: Place

    def begin(self, definition: Json, resume: bool) -> None:
        """Write the search's definition.

        Raises:
            ConfigError: a search of this name was begun, and this is not to go on with it, or is defined otherwise.
        """
        definition = json.loads(_text(definition))
        if self.place.exists(DEFINITION):
            before = self._json(DEFINITION)
            changes = differences(before, definition)
            if changes:
                raise ConfigError(
                    f"{self.place}: a search of this name is defined otherwise ("
                    f"{'; '.join(changes)}); give this one a name of its own (--called)"
                )
            if not resume:
                raise ConfigError(
                    f"{self.place}: was begun before, {len(self._files())} of its trials are over; "
                    "go on with --resume, or give this one a name of its own (--called)"
                )
        self.place.write(DEFINITION, _text(definition))

    def keep(self, outcome: Outcome) -> None:
        self.place.write(_file(outcome.id), _text(asdict(outcome)))

    def known(self, trials: Sequence[Trial], plans: Sequence[Sequence[Planned]]) -> dict[str, Outcome]:
        """The kept outcomes of these very trials, by id. Failed ones are to be tried again, and are left out."""
        found: dict[str, Outcome] = {}
        there = self._files()
        for trial, planned in zip(trials, plans, strict=True):
            if _file(trial.id) in there:
                outcome = Outcome(**self._json(_file(trial.id)))
                if outcome.fingerprint == planned[-1].fingerprint and outcome.state != "failed":
                    found[trial.id] = outcome
        return found

    def _files(self) -> list[str]:
        return [name for name in self.place.sizes() if name.startswith("trial-") and name.endswith(".json")]

    def _json(self, name: str) -> Json:
        try:
            found: Json = json.loads(self.place.read(name))
        except ValueError as error:
            raise ArtifactError(
                f"{self.place}/{name}: is damaged ({error}); remove the file and go on with --resume"
            ) from None
        return found


def _file(trial: str) -> str:
    return f"trial-{trial}.json"


def _text(body: Json) -> bytes:
    return (masked(json.dumps(body, indent=2, sort_keys=True)) + "\n").encode()
