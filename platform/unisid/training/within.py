"""Checkpoints in the middle of an epoch: when one is due, what it holds of the epoch, and how a fit goes on from there.

A worker about to lose its machine is saved at once, and again until the machine is gone; a long epoch every so many
seconds. All workers must save after the same step, so rank 0 decides and the others follow, about once a second. W
workers.
"""

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Num, UInt8
from torch import Tensor

from unisid.compute import Worker
from unisid.config import Json
from unisid.ops.seeded import seed_of
from unisid.training.checkpoint import Checkpoint

LOOK_SECONDS = 1.0
"""About so long after a decision the next one is made."""
NOTICE_SECONDS = 5.0
"""The machines are asked for notices no more often: Ray looks for them every 5 s."""
AGAIN_SECONDS = 1.0
"""After a notice a fit is saved again after so long, and after `SHARE` times what saving it took."""
SHARE = 9.0
"""So saving takes a tenth of the time that is left."""
RANDOM, SUMS = "within.random", "within.sums"
"""Tensors of a checkpoint: the random state of every worker [W, bytes], what its steps added up to [W, names]."""


class Within:
    """Decides whether a checkpoint is due, alike on every worker.

    Args:
        seconds: since the last checkpoint, after which one is due; 0: never by time.
    """

    def __init__(self, worker: Worker, seconds: float = 0.0) -> None:
        self.worker, self.seconds = worker, seconds
        self.begun = self.saved = self.noticed_at = time.monotonic()
        self.steps, self.next = 0, 1
        self.preempted = False
        """Whether a machine is about to be taken away."""
        self.pause = 0.0
        """Seconds from a checkpoint to the next one, where that is so."""
        self.decided: float | None = None
        """When it was decided to save, from then until it is decided again."""

    def due(self) -> bool:
        """Whether to save now, after one more step; every worker must call it after every step."""
        self.steps += 1
        if self.steps < self.next:
            return False
        now = time.monotonic()
        pause = max(1.0, LOOK_SECONDS * self.steps / max(now - self.begun, 1e-9))
        late = self.owed or (bool(self.seconds) and now - self.saved > self.seconds)
        decided = torch.tensor([pause, late, now - self.noticed_at >= NOTICE_SECONDS], dtype=torch.float64)
        pause, late, look = self.worker.broadcast(decided.to(self.worker.device)).tolist()
        self.next = self.steps + int(pause)
        found = bool(late) | (bool(look) and self._first_notice(now))
        self.decided = now if found else None
        return found

    @property
    def owed(self) -> bool:
        """Whether a machine is about to be taken away, and enough was done since the last checkpoint for another."""
        return self.preempted and time.monotonic() - self.saved >= self.pause

    def restart(self) -> None:
        """Count the seconds anew: a checkpoint was committed."""
        self.saved = time.monotonic()
        took = self.saved - self.decided if self.decided is not None else 0.0
        self.pause = max(AGAIN_SECONDS, SHARE * took)

    def _first_notice(self, now: float) -> bool:
        """Whether a machine is about to be taken away that was not before."""
        self.noticed_at = now
        before, self.preempted = self.preempted, self.worker.is_preempted()
        if self.preempted and not before:
            self.pause = 0.0
        return self.preempted and not before


@dataclass(frozen=True)
class Partial:
    """An epoch of which some steps are done, as one worker sees it."""

    steps: int = 0
    sums: dict[str, Any] = field(default_factory=dict)
    """What is shown of the epoch, summed over its steps: numbers, or scalars on the worker's device."""


@torch.no_grad()
def state_of(worker: Worker, partial: Partial) -> tuple[dict[str, Tensor], Json]:
    """Tensors and counters with which a checkpoint holds every worker's part of an epoch; all workers must call it."""
    sums = torch.stack([torch.as_tensor(value).double().to(worker.device) for value in partial.sums.values()])
    tensors = {RANDOM: worker.all_gather(_random(worker.device)[None]), SUMS: worker.all_gather(sums[None])}
    types = {name: _type_of(value) for name, value in partial.sums.items()}
    return tensors, {"steps": partial.steps, "workers": worker.size, "sums": types}


def resume(
    worker: Worker, written: Checkpoint | None, batches: Iterator[Any], each: int, seed: tuple[int, ...]
) -> Partial:
    """The epoch in whose middle a checkpoint was made; nothing of it where that was between two epochs.

    The batches of the steps that are done are passed over, and torch's random state is as it was after them. With
    another number of workers no worker has such a state: it is drawn from the seed and the steps, and each worker takes
    the mean of what all had added up.

    Args:
        batches: the epoch's, from its beginning.
        each: micro-batches a step.
    """
    counters = written.counters.get("within") if written is not None else None
    if written is None or counters is None:
        return Partial()
    steps, sums = counters["steps"], written[SUMS]
    deque(itertools.islice(batches, steps * each), maxlen=0)
    if worker.size == counters["workers"]:
        _set_random(worker.device, written[RANDOM][worker.rank])
        own = sums[worker.rank]
    else:
        torch.manual_seed(seed_of(*seed, worker.rank, steps))
        own = sums.mean(0)
    names = zip(counters["sums"].items(), own, strict=True)
    return Partial(steps, {name: _as(kind, value.to(worker.device)) for (name, kind), value in names})


def _random(device: torch.device) -> UInt8[Tensor, " bytes"]:
    """Torch's random state on this processor, and on the device after it: bytes [n]."""
    own = torch.get_rng_state()
    if device.type == "cuda":
        own = torch.cat([own, torch.cuda.get_rng_state(device)])
    return own.to(device)


def _set_random(device: torch.device, state: UInt8[Tensor, " bytes"]) -> None:
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size].cpu().clone())  # torch reads the storage from its beginning, whatever the view
    if device.type == "cuda" and len(state) > size:
        torch.cuda.set_rng_state(state[size:].cpu().clone(), device)


def _type_of(value: Any) -> str:
    return str(value.dtype).rpartition(".")[2] if isinstance(value, Tensor) else "number"


def _as(kind: str, value: Num[Tensor, ""]) -> Any:
    return float(value) if kind == "number" else value.to(getattr(torch, kind))
