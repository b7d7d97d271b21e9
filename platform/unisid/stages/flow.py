"""The stages by noun, and what each of them is: a module with three functions and its settings.

A stage whose noun may be extended has a second module, `extend`, found by its name: it makes a further version from an
older one, `base` in the settings.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from unisid.artifacts.record import Record
from unisid.bounds import Settings
from unisid.compute import Job
from unisid.config import Json, from_record
from unisid.stages import (
    align,
    baseline,
    catalog,
    codes,
    embeddings,
    fused,
    graph,
    instructions,
    joint,
    keywords,
    metrics,
    model,
    sequences,
)


class Maker(Protocol):
    """What makes an artifact."""

    def inputs(self, config: Any, /) -> tuple[str, ...]:
        """The nouns that it reads; one that the recipe leaves out is absent. 'noun.*': all that have a name."""
        ...

    def sources(self, config: Any, /) -> dict[str, Json]:
        """Inputs besides artifacts of the recipe: role -> {"address", "fingerprint"}."""
        ...

    def make(self, job: Job[Any], /) -> Json:
        """Write the artifact's files to `job.out`; returns the counts for its record."""
        ...


class Stage(Maker, Protocol):
    """A module of this folder: what makes an artifact by itself."""

    @property
    def Config(self) -> type[Settings]:  # noqa: N802
        """Its settings."""
        ...


STAGES: Mapping[str, Stage] = {
    "catalog": catalog,
    "embeddings": embeddings,
    "graph": graph,
    "fused": fused,
    "joint": joint,
    "codes": codes,
    "keywords": keywords,
    "sequences": sequences,
    "instructions": instructions,
    "model": model,
    "baseline": baseline,
    "metrics": metrics,
}
"""By noun, in the order of the flow."""
ALIGN: Stage = align
"""Makes the model of a recipe that aligns its recommender."""


def extension(noun: str) -> Maker:
    """The maker of a further version of a noun from an older one."""
    return cast(Maker, importlib.import_module(f"unisid.stages.{noun}.extend"))


def emission(noun: str) -> Maker:
    """The maker of a noun from a tokenizer and a recommender that were trained together."""
    return cast(Maker, importlib.import_module(f"unisid.stages.{noun}.emitted"))


def gift(noun: str) -> Maker:
    """The maker of a noun from what others made."""
    return cast(Maker, importlib.import_module(f"unisid.stages.{noun}.given"))


def settings_of(noun: str, record: Record) -> Any:
    """A stage's settings as recorded."""
    stage = ALIGN if noun == "model" and "objective" in record.config else STAGES[noun]
    return from_record(stage.Config, record.settings)
