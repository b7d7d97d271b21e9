"""The flow of artifacts: resolve what each stage needs, skip what is complete, make the rest.

A recipe is the whole configuration, one part a noun. Because an artifact's fingerprint follows from settings and
inputs alone, a plan is known before anything runs; and an artifact of equal fingerprint under any other name is
shared rather than made again.
"""

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

import unisid
import unisid.stages.baseline
import unisid.stages.catalog
import unisid.stages.catalog_extend
import unisid.stages.codes
import unisid.stages.codes_extend
import unisid.stages.embeddings
import unisid.stages.embeddings_extend
import unisid.stages.fused
import unisid.stages.fused_extend
import unisid.stages.graph
import unisid.stages.graph_extend
import unisid.stages.instructions
import unisid.stages.metrics
import unisid.stages.model
import unisid.stages.sequences
from unisid import config as settings
from unisid import stages
from unisid.artifacts.curve import Point, read_curve, write_curve
from unisid.artifacts.record import (
    RECORD,
    Record,
    check_files,
    find,
    fingerprint_of,
    read_record,
    require,
    write_record,
)
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.bounds import Settings
from unisid.compute import Compute, Job, Metrics
from unisid.config import Json, runtime
from unisid.errors import ArtifactError, ConfigError, DriftError
from unisid.printable import printable
from unisid.stages.catalog_fits import check_fits

STAGES: Mapping[str, ModuleType] = {noun: getattr(stages, noun) for noun in NOUNS}
EXTENDING: Mapping[type, ModuleType] = {
    stage.Config: stage
    for stage in (
        stages.catalog_extend,
        stages.embeddings_extend,
        stages.graph_extend,
        stages.fused_extend,
        stages.codes_extend,
    )
}
"""The stages that make a further version from an older one, by their settings."""
DRAFT = ".draft.json"
State = Literal["complete", "shared", "half made", "to make", "drift"]


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """A whole run: what it is called, and the settings of every stage."""

    name: str = runtime("unnamed")
    """The artifacts' name: catalog/NAME/VERSION and so on."""
    version: str = runtime("1")
    """The artifacts' version."""
    note: str = runtime("")
    """What a reader of the report should know before believing the figures."""
    catalog: stages.catalog.Config = field(default_factory=stages.catalog.Config)
    embeddings: stages.embeddings.Config = field(default_factory=stages.embeddings.Config)
    graph: stages.graph.Config = field(default_factory=stages.graph.Config)
    fused: stages.fused.Config = field(default_factory=stages.fused.Config)
    codes: stages.codes.Config = field(default_factory=stages.codes.Config)
    sequences: stages.sequences.Config = field(default_factory=stages.sequences.Config)
    instructions: stages.instructions.Config | None = None
    """What a language model is taught in words; a recipe that leaves it out makes none."""
    model: stages.model.Config = field(default_factory=stages.model.Config)
    baseline: stages.baseline.Config | None = None
    """A rival that takes training, which the metrics then show too; a recipe that leaves it out trains none."""
    metrics: stages.metrics.Config = field(default_factory=stages.metrics.Config)


@dataclass(frozen=True)
class Planned:
    """One artifact of a recipe: where it is or will be, and whether it must be made."""

    noun: str
    address: Address
    state: State
    fingerprint: str
    config: Json
    inputs: dict[str, Json]
    difference: tuple[str, ...] = ()
    """For drift: what stands there differs in these settings or inputs."""


class StageLog(Protocol):
    """Where one stage's figures go while it runs."""

    def metrics(self, values: Metrics) -> None: ...

    def finish(self, record: Record, place: Place) -> None: ...


class Tracker(Protocol):
    """Who is told of runs. `runtime.tracking` tells MLflow; `Silent` tells nobody."""

    def pipeline(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[None]: ...

    def stage(self, noun: str, params: Mapping[str, Any]) -> contextlib.AbstractContextManager[StageLog]: ...

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None: ...


class Silent:
    """A tracker that tells nobody."""

    @contextlib.contextmanager
    def pipeline(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def stage(self, noun: str, params: Mapping[str, Any]) -> Iterator[StageLog]:
        yield self

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None: ...

    def metrics(self, values: Metrics) -> None: ...

    def finish(self, record: Record, place: Place) -> None: ...


def plan(recipe: Recipe, store: Store, until: str = NOUNS[-1]) -> list[Planned]:
    """What a run of the recipe would find and make, in order, up to and including the noun `until`."""
    if until not in NOUNS:
        raise ConfigError(f"no stage '{until}'{settings.did_you_mean(until, NOUNS)}; known: {', '.join(NOUNS)}")
    if getattr(recipe, until) is None:
        raise ConfigError(f"recipe '{recipe.name}': has no {until}; give it settings: {until}={until}.Config()")
    planned: dict[str, Planned] = {}
    for noun in _needed(recipe, until):
        stage, config = stage_of(recipe, noun), getattr(recipe, noun)
        inputs = {
            role: {"address": str(planned[role].address), "fingerprint": planned[role].fingerprint}
            for role in inputs_of(recipe, noun)
        }
        inputs |= stage.sources(config)
        planned[noun] = _resolve(noun, Address(noun, recipe.name, recipe.version), config, inputs, store)
    if "catalog" in planned and planned["catalog"].state in ("complete", "shared"):
        check_fits(store.place(planned["catalog"].address), (getattr(recipe, noun) for noun in planned))
    return list(planned.values())


def run(
    recipe: Recipe,
    store: Store,
    compute: Compute,
    tracker: Tracker,
    say: Callable[[str], None],
    until: str = NOUNS[-1],
) -> dict[str, Place]:
    """Make what is missing; returns where every artifact of the recipe lies.

    Raises:
        DriftError: before anything is made, where an address holds an artifact of other settings.
    """
    planned = plan(recipe, store, until)
    refuse_drift(planned)
    places = {entry.noun: store.place(entry.address) for entry in planned}
    wanted = missing(planned)
    if wanted:
        with _told(recipe, planned, tracker):
            for number, entry in enumerate(wanted, 1):
                say(f"[{number}/{len(wanted)}] {entry.address}")
                _make(entry, recipe, places, compute, tracker, say)
                if entry.noun == "catalog":
                    check_fits(places["catalog"], (getattr(recipe, noun) for noun in places))
            publish(recipe, store, places, tracker)
    return places


def sync(recipe: Recipe, store: Store, tracker: Tracker, until: str = NOUNS[-1]) -> list[Address]:
    """Tell the tracker, from the artifacts alone, of everything complete: for when it was away during the run.

    Raises:
        DriftError, ArtifactError: what lies there is of other settings, or nothing does.
    """
    whole = plan(recipe, store, until)
    refuse_drift(whole)
    planned = [entry for entry in whole if entry.state in ("complete", "shared")]
    if not planned:
        raise ArtifactError(f"{store.root}: nothing of '{recipe.name}' is complete under these settings; give those "
                            "that it was run with, or run it first")  # fmt: skip
    places = {entry.noun: store.place(entry.address) for entry in planned}
    with _told(recipe, planned, tracker):
        for entry in planned:
            record = require(places[entry.noun], entry.noun)
            with tracker.stage(entry.noun, settings.flatten(record.config | record.runtime, entry.noun)) as log:
                for step, name, value in read_curve(places[entry.noun]):
                    log.metrics({name: value, "step": step})
                log.finish(record, places[entry.noun])
        publish(recipe, store, places, tracker)
    return [entry.address for entry in planned]


def publish(recipe: Recipe, store: Store, places: Mapping[str, Place], tracker: Tracker) -> Place:
    """Write the report of what is there, and hand it with the models to the tracker; returns the report's folder."""
    from unisid.report.html import write_report  # with matplotlib: not where a recipe is only planned

    folder = report_place(recipe, store)
    write_report(places, folder, note=recipe.note)
    tracker.publish(recipe.name, places, folder)
    return folder


def report_place(recipe: Recipe, store: Store) -> Place:
    return store.root / "reports" / recipe.name / recipe.version


def _told(recipe: Recipe, planned: list[Planned], tracker: Tracker) -> contextlib.AbstractContextManager[None]:
    tags = {f"fingerprint.{entry.noun}": entry.fingerprint for entry in planned}
    params = settings.flatten(settings.to_record(recipe))
    return tracker.pipeline(recipe.name, params, tags | {"note": recipe.note})


def missing(planned: list[Planned]) -> list[Planned]:
    """What a run would make."""
    return [entry for entry in planned if entry.state in ("half made", "to make")]


def refuse_drift(planned: list[Planned]) -> None:
    """Raise DriftError for the first artifact that stands in the way of another of its name."""
    for entry in planned:
        if entry.state == "drift":
            changes = "\n    ".join(entry.difference)
            raise DriftError(
                f"{entry.address}: was made from other settings or inputs:\n    {changes}\n"
                f"  Either keep it and give this run a name of its own (--name or --version; equal artifacts are "
                f"shared, not made again), or remove it first: unisid drop {entry.address}"
            )


def drop(store: Store, address: Address) -> None:
    """Remove one artifact, complete or not. The record goes first: what is half removed is not complete."""
    place = store.place(address)
    if not place.exists():
        raise ArtifactError(f"{address}: nothing is there to remove")
    place.remove(RECORD)
    place.clear()


def inputs_of(recipe: Recipe, noun: str) -> list[str]:
    """The nouns that go straight into one; what has no settings is left out."""
    if getattr(recipe, noun) is None:
        return []
    wanted = stage_of(recipe, noun).inputs(getattr(recipe, noun))
    return [role for role in wanted if getattr(recipe, role) is not None]


def stage_of(recipe: Recipe, noun: str) -> ModuleType:
    """What makes a noun: its stage, or the one that extends an older version where the settings are that one's."""
    return EXTENDING.get(type(getattr(recipe, noun)), STAGES[noun])


def _needed(recipe: Recipe, until: str) -> list[str]:
    """The nouns that a run goes through."""
    wanted, stack = set(), [until]
    while stack:
        noun = stack.pop()
        wanted.add(noun)
        stack.extend(inputs_of(recipe, noun))
    return [noun for noun in NOUNS if noun in wanted]


def _resolve(noun: str, address: Address, config: Any, inputs: dict[str, Json], store: Store) -> Planned:
    identity = settings.to_record(config, identity=True)
    wanted = fingerprint_of(noun, identity, inputs)
    place = store.place(address)
    record = read_record(place)
    state: State
    difference: tuple[str, ...] = ()
    if record is not None and record.fingerprint == wanted:
        check_files(place, record)
        state = "complete"
    elif (twin := find(store, noun, wanted)) is not None:
        address, state = twin, "shared"
    elif record is not None:
        state = "drift"
        before = record.config | {"inputs": {r: e["fingerprint"][:12] for r, e in record.inputs.items()}}
        after = identity | {"inputs": {r: e["fingerprint"][:12] for r, e in inputs.items()}}
        difference = tuple(settings.differences(before, after))
    else:
        state = "half made" if _draft_of(place) == wanted else "to make"
    return Planned(noun, address, state, wanted, identity, inputs, difference)


def _make(
    entry: Planned,
    recipe: Recipe,
    places: Mapping[str, Place],
    compute: Compute,
    tracker: Tracker,
    say: Callable[[str], None],
) -> None:
    stage, config, out = stage_of(recipe, entry.noun), getattr(recipe, entry.noun), places[entry.noun]
    if _draft_of(out) != entry.fingerprint:
        out.clear()
        out.write(DRAFT, json.dumps({"fingerprint": entry.fingerprint}).encode())
    begun = time.monotonic()
    curve: list[Point] = []
    with tracker.stage(entry.noun, settings.flatten(settings.to_record(config), entry.noun)) as log:
        job = Job(
            config=config,
            inputs={role: places[role] for role in entry.inputs if role in places},
            out=out,
            name=f"{entry.address}-{entry.fingerprint[:12]}",
            compute=compute,
            report=_reporting(curve, log, Progress(say)),
            say=lambda line: say(f"      {printable(line)}"),
        )
        counts = stage.make(job)
        write_curve(out, curve)
        job.work.clear()
        record = _complete(entry, out, counts, time.monotonic() - begun, _runtime(config, entry.config))
        say(f"      done in {record.seconds:.1f} s")
        log.finish(record, out)


def _reporting(curve: list[Point], log: StageLog, progress: "Progress") -> Callable[[Metrics], None]:
    """Where a stage's figures go: the artifact's curve, the tracker, the person who waits."""

    def report(values: Metrics) -> None:
        step = int(values.get("step", len(curve)))
        curve.extend((step, name, float(value)) for name, value in values.items() if name != "step")
        log.metrics(values)
        progress.show(values)

    return report


def _complete(entry: Planned, out: Place, counts: Json, seconds: float, how: Json) -> Record:
    record = Record(
        address=str(entry.address),
        config=entry.config,
        inputs=entry.inputs,
        counts=counts,
        files=out.sizes(),
        code_version=unisid.__version__,
        seconds=round(seconds, 3),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        runtime=how,
    )
    write_record(out, record)
    out.remove(DRAFT)
    return record


class Progress:
    """Shows what a stage reports, at most every few seconds, so that a person sees that it moves."""

    def __init__(self, say: Callable[[str], None], seconds: float = 5.0) -> None:
        self.say, self.seconds, self.shown = say, seconds, time.monotonic() - seconds

    def show(self, values: Metrics) -> None:
        if time.monotonic() - self.shown >= self.seconds:
            self.shown = time.monotonic()
            self.say("      " + "  ".join(f"{name} {value:.5g}" for name, value in values.items()))


def _runtime(config: Any, identity: Json) -> Json:
    """What bears no identity, by dotted key."""
    known = settings.flatten(identity)
    return {key: value for key, value in settings.leaves(config) if key not in known}


def _draft_of(place: Place) -> str | None:
    if not place.exists(DRAFT):
        return None
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(place.read(DRAFT)).get("fingerprint"))
    return None
