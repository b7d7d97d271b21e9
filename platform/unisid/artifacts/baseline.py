"""The baseline: a reference method fitted on the catalog's training rows, and how well it ranks the test targets.

`baseline.json`: the settings that build it, and what validation chose. `baseline.safetensors`: its weights, where it
has any. `metrics.json`, `ranks-<method>-*.parquet` and `listed-*.parquet` as `artifacts.metrics` describes them; the
method is its kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.metrics import read_figures, read_listed, read_ranks
from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights

WEIGHTS, DESCRIPTION = "baseline.safetensors", "baseline.json"


def write_baseline(
    place: Place, settings: dict[str, Any], chosen: Mapping[str, float], weights: Mapping[str, Tensor] | None
) -> None:
    """Write a fitted baseline: its settings as `config.to_record` gives them, last; what was chosen; its weights."""
    if weights is not None:
        write_weights(place, WEIGHTS, weights)
    write_json(place, DESCRIPTION, {"baseline": settings, "chosen": dict(chosen)})


@dataclass(frozen=True)
class Baseline:
    """A read baseline."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Baseline":
        """Raises ArtifactError where no complete baseline is."""
        return cls(place, require(place, "baseline"))

    @property
    def method(self) -> str:
        """Its name in tables: its kind."""
        settings = self.record.config.get("baseline")
        if not isinstance(settings, dict) or not isinstance(settings.get("kind"), str):
            raise damaged(self.place, RECORD, "config.baseline has no 'kind'")
        return str(settings["kind"])

    @property
    def test_samples(self) -> int:
        """How many test samples it ranked at most, as `Catalog.samples` draws them; 0 for all."""
        return int(self.record.config.get("test_samples", 0))

    def settings(self) -> dict[str, Any]:
        """The baseline's settings, as `config.from_record` reads them."""
        settings: dict[str, Any] = read_described(self.place)["baseline"]
        return settings

    def chosen(self) -> dict[str, float]:
        """The hyper-parameters that validation chose, by name."""
        chosen: dict[str, float] = read_described(self.place)["chosen"]
        return chosen

    def weights(self) -> dict[str, Tensor]:
        """Its weights, by name, on the CPU; none where it has none."""
        return read_weights(self.place, WEIGHTS) if self.place.exists(WEIGHTS) else {}

    def results(self) -> dict[str, Any]:
        """method -> history rule -> metric -> {"mean", "low", "high"}."""
        return read_figures(self.place, "metrics.json")

    def listed(self) -> NDArray[np.int32] | None:
        """[S, k] its first items, -1 fills up; None for baselines that were made before there were any."""
        return read_listed(self.place)

    def ranks(self) -> pa.Table:
        """Every test sample's user, target and rank under each history rule."""
        return read_ranks(self.place, self.method)


def read_described(place: Place) -> dict[str, Any]:
    """The content of `baseline.json`, as `write_baseline` wrote it; the artifact need not be complete."""
    found = read_json(place, DESCRIPTION)
    for name in ("baseline", "chosen"):
        if not isinstance(found.get(name), dict):
            raise damaged(place, DESCRIPTION, f"has no object '{name}'")
    return found
