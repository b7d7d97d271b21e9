"""Makes one artifact: in a draft, by its stage; with its record it is given its place."""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import unisid
from unisid import config as settings
from unisid.artifacts import draft
from unisid.artifacts.curve import Point, read_curve, write_curve
from unisid.artifacts.lease import Lease
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place, Store
from unisid.compute import Compute, Job, Metrics
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.footprint import CLUSTER, machine, watched
from unisid.legend import legend, shown
from unisid.log import TICK, Advance, logger
from unisid.planned import Planned
from unisid.progress import SECONDS, Throttle
from unisid.stages.flow import Maker
from unisid.training.memory import DEVICE_PEAK

LOG = logger(__name__)


class StageLog(Protocol):
    """Where one stage's figures go while it runs."""

    def metrics(self, values: Metrics) -> None: ...

    def finish(self, record: Record, place: Place) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """What all stages of a run share."""

    store: Store
    places: Mapping[str, Place]
    """Where every artifact of the run lies or will lie."""
    compute: Compute
    lease: Lease
    """What makes this process the one that may write."""


def make(entry: Planned, stage: Maker, config: Any, around: Surroundings, log: StageLog) -> None:
    """Make an artifact, or go on with what is half made of it.

    Raises:
        ArtifactError: another process took the lease over.
    """
    out, begun = draft.begin(around.store, entry.address, entry.fingerprint), time.monotonic()
    record = draft.recorded(out, entry.fingerprint)
    if record is None:
        curve: list[Point] = []
        job = Job(
            config=config,
            inputs={role: around.places[role] for role in entry.inputs if role in around.places},
            out=out,
            name=f"{entry.address}-{entry.fingerprint[:12]}",
            compute=around.compute,
            report=_reporting(curve, log, Shown(entry.noun, epochs=_epochs(config))),
        )
        with _whose(entry.noun), watched() as held:
            counts = stage.make(job)
        write_curve(out, curve)
        job.work.clear()
        around.lease.check()
        cost = Cost(
            seconds=round(time.monotonic() - begun, 3),
            machine=machine() if around.compute.here else CLUSTER,
            memory=({"before": held.before, "peak": held.peak} if around.compute.here else {}) | _device(curve),
        )
        record = _complete(entry, out, counts, cost, _runtime(config, entry.config))
    else:
        replay(out, log)
    draft.finish(out, around.places[entry.noun])
    draft.discard(around.store, entry.address)
    LOG.info(f"done in {record.seconds:.1f} s", extra={"is_end": True})
    log.finish(record, around.places[entry.noun])


@contextlib.contextmanager
def _whose(noun: str) -> Iterator[None]:
    """Errors of training, which several stages do, begin with the stage's noun: 'model.training, epoch 3: ...'."""
    try:
        yield
    except (ConfigError, DataError) as error:
        if str(error).startswith("training"):
            raise type(error)(f"{noun}.{error}") from error
        raise


def replay(place: Place, log: StageLog) -> None:
    """Hand a log what was reported while an artifact was made."""
    for step, name, value in read_curve(place):
        log.metrics({name: value, "step": step})


def _reporting(curve: list[Point], log: StageLog, shown: "Shown") -> Callable[[Metrics], None]:
    """Where a stage's figures go: the artifact's curve, the tracker, the person who waits."""

    def report(values: Metrics) -> None:
        step = int(values.get("step", len(curve)))
        curve.extend((step, name, float(value)) for name, value in values.items() if name != "step")
        log.metrics(values)
        shown.show(values)

    return report


class Cost(TypedDict):
    """What making took, as the record has it."""

    seconds: float
    machine: str
    memory: Json


def _device(curve: Sequence[Point]) -> Json:
    """The most of a GPU's memory that a training reported."""
    peaks = [value for _, name, value in curve if name == DEVICE_PEAK]
    return {"device": int(max(peaks))} if peaks else {}


def _complete(entry: Planned, out: Place, counts: Json, cost: Cost, how: Json) -> Record:
    record = Record(
        address=str(entry.address),
        config=entry.config,
        inputs=entry.inputs,
        counts=counts,
        files=out.sizes(),
        code_version=unisid.__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        runtime=how,
        **cost,
    )
    write_record(out, record)
    return record


class Shown:
    """Shows what a stage reports, at most every few seconds, so that a person sees that it moves.

    What a figure is stands above the line that has it first; an arrow beside its value points to where it is better.
    """

    def __init__(self, noun: str, seconds: float = SECONDS, epochs: int = 0) -> None:
        """`epochs`: at most so many there will be, for a bar; 0 where the stage has none."""
        self.noun, self.epochs, self.due = noun, epochs, Throttle(seconds, at_once=True)
        self.explained: set[str] = set()

    def show(self, values: Metrics) -> None:
        """Show these values, if it is time."""
        if self.due():
            for line in legend(self.noun, [name for name in values if name not in self.explained]):
                LOG.info(line)
            self.explained |= values.keys()
            line = "  ".join(shown(self.noun, name, value) for name, value in values.items())
            LOG.info(line, extra={"figures": dict(values)} | self._moved(values))
        elif moved := self._moved(values):
            LOG.log(TICK, self.noun, extra=moved)

    def _moved(self, values: Metrics) -> dict[str, Any]:
        """The record's `advance`, where these values are an epoch's."""
        if not (self.epochs and "epoch" in values):
            return {}
        return {"advance": Advance("epochs", int(values["epoch"]), self.epochs)}


def _epochs(config: Any) -> int:
    """How many epochs a stage trains at most, as its settings say; 0 for a stage that does not train."""
    found = getattr(getattr(config, "training", config), "epochs", 0)
    return found if isinstance(found, int) else 0


def _runtime(config: Any, identity: Json) -> Json:
    """The settings that bear no identity, by dotted key."""
    known = settings.flatten(identity)
    return {key: value for key, value in settings.leaves(config) if key not in known}
