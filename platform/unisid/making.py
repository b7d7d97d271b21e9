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
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import Place, Store
from unisid.compute import Compute, Job, Metrics
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.footprint import CLUSTER, machine, watched
from unisid.legend import WHERE, Figure, figure, in_order, legend, shown
from unisid.log import TICK, Advance, logger
from unisid.planned import Planned
from unisid.progress import SECONDS, HowFar, Throttle
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
        shown = Shown(entry.noun, epochs=_epochs(config))
        job = Job(
            config=config,
            inputs={role: around.places[role] for role in entry.inputs if role in around.places},
            out=out,
            name=f"{entry.address}-{entry.fingerprint[:12]}",
            compute=around.compute,
            report=_reporting(curve, log, shown),
            judged_by=shown.judged_by,
        )
        with _whose(entry.noun), watched() as held:
            counts = stage.make(job)
        write_curve(out, curve, shown.score)
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
        kept = HowFar.without_totals(values)
        curve.extend((step, name, float(value)) for name, value in kept.items() if name != "step")
        log.metrics(kept)
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
    Figures that nothing is known of are among the details.
    """

    def __init__(self, noun: str, seconds: float = SECONDS, epochs: int = 0) -> None:
        """`noun` may be a role; `epochs`: at most so many there will be, for a bar; 0 where the stage has none."""
        self.noun, self.epochs, self.due = noun_of(noun), epochs, Throttle(seconds, at_once=True)
        self.explained: set[str] = set()
        self.score: Figure | None = None
        self.counts: list[HowFar] = []
        """Those whose bars stand."""

    def judged_by(self, score: Figure) -> None:
        """Take what decides the best epoch, as the stage says."""
        self.score = score

    def show(self, values: Metrics) -> None:
        """Show these values, if it is time."""
        counts = HowFar.all_in(values)
        if self.due() or any(count.done >= count.total for count in counts):
            self._show(values, counts)
        for advance in self._moved(values, counts):
            LOG.log(TICK, advance.name, extra={"advance": advance})

    def _show(self, values: Metrics, counts: Sequence[HowFar]) -> None:
        of_counts = {name for count in counts for name in count.figures} | ({*WHERE} if counts else set())
        names = [name for name in in_order(values) if name not in of_counts]
        known = [name for name in names if figure(self.noun, name, self.score) is not None]
        for line in legend(self.noun, [name for name in known if name not in self.explained], self.score):
            LOG.info(line)
        self.explained.update(known)
        parts = [*map(str, counts), *(shown(self.noun, name, values[name], self.score) for name in known)]
        extra: dict[str, Any] = {"figures": HowFar.without_totals(values)}
        if counts or {*known} - {*WHERE}:
            LOG.info("  ".join(parts), extra=extra | ({} if known else {"advance": counts[0].advance}))
        if rest := [f"{name} {values[name]:.5g}" for name in names if name not in known]:
            LOG.debug("  ".join(rest), extra=extra)

    def _moved(self, values: Metrics, counts: Sequence[HowFar]) -> Iterator[Advance]:
        """Where the bars are: of counts, and of the epochs where these values are one's, at which counts end."""
        yield from (count.advance for count in counts)
        if "epoch" in values:
            yield from (Advance(count.title, count.total, count.total) for count in self.counts)
            if self.epochs:
                yield Advance("epochs", int(values["epoch"]), self.epochs)
        self.counts = list(counts)


def _epochs(config: Any) -> int:
    """How many epochs a stage trains at most, as its settings say; 0 for a stage that does not train."""
    found = getattr(getattr(config, "training", config), "epochs", 0)
    return found if isinstance(found, int) else 0


def _runtime(config: Any, identity: Json) -> Json:
    """The settings that bear no identity, by dotted key."""
    known = settings.flatten(identity)
    return {key: value for key, value in settings.leaves(config) if key not in known}
