"""`Compute` on Ray: `fit` by Ray Train, `map` by Ray Data, side by side in one session."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import pyarrow as pa

from unisid.artifacts.store import Place
from unisid.compute import Part, Pool, Report, Step, Stream, Worker
from unisid.errors import ConfigError
from unisid.runtime import ray_data, ray_session
from unisid.runtime.checkpoints import Checkpoints
from unisid.runtime.local import LocalCompute, fit_here
from unisid.runtime.ray_train import Assignment, Group

T = TypeVar("T")
LEAST = 1.0
"""Cores that a map is cut to at the most."""


class RayCompute:
    """The machines of the Ray session of this process.

    Consecutive fits of the same pool share one worker group; a fit of another pool closes it and starts its own.
    One fit runs at a time; maps may run beside it.

    Args:
        own: whether the session is this machine's own, which hands out more cores than there are (maps are then cut
            to what is left beside an idle group, whereas on a cluster the idle group makes room; so it does where it
            leaves nothing).
        max_failures: so many times one fit is started again after workers died.
    """

    def __init__(self, own: bool = True, max_failures: int = 3) -> None:
        self.own, self.here, self.max_failures = own, own, max_failures
        self.group: Group | None = None
        self.leaving: list[Group] = []
        self.lock = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, address: str | None = None, cpus: int | None = None, dashboard: bool = False, max_failures: int = 3
    ) -> Iterator[Self]:
        """A compute with its Ray session, as `ray_session.session` finds or starts it."""
        with ray_session.session(address, cpus, dashboard) as own:
            compute = cls(own, max_failures)
            try:
                yield compute
            finally:
                compute.close()

    def fit(
        self,
        train: Callable[[Worker, Any], T],
        task: Any,
        *,
        name: str,
        pool: Pool,
        work: Place,
        streams: Mapping[str, Stream] | None = None,
        report: Report | None = None,
    ) -> T:
        job = Assignment(train, task, pool, streams or {}, Checkpoints(work, name))
        if pool.workers == 0:
            return fit_here(train, task, pool, job.streams, job.checkpoints, report)
        with self.lock:
            group = self._serving(pool)
            try:
                return group.fit(job, report)
            finally:
                if group.busy:  # interrupted: an error of the job itself leaves the group fit for the next one
                    self._release()

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        if not parts or all(step.pool.workers == 0 for step in steps):
            yield from LocalCompute().map(parts, *steps)
            return
        cpus, gpus, nodes = self._room(steps, len(parts))
        at_risk = self._at_risk(cpus)
        lasting = sorted(nodes)[:-1] if at_risk else nodes
        yield from ray_data.stream(parts, steps, cpus, gpus, cpus - at_risk, lasting)

    def close(self) -> None:
        """End the worker group, and wait for workers that are still ending.

        A group's thread that still calls Ray when the session ends would end the process: Ray's core exits with 1,
        without a message, when it is called after its shutdown.
        """
        with self.lock:
            self._release()
            for group in self.leaving:
                group.close()
            self.leaving.clear()

    def _serving(self, pool: Pool) -> Group:
        """The running group of this shape, or a new one in place of any other."""
        if self.group is not None and self.group.alive and self.group.pool == pool:
            return self.group
        self._release()
        for what, each in (("CPU", pool.cpus), ("GPU", pool.gpus)):
            have = ray_session.total(what)
            if self.own and each * pool.workers > have:
                raise ConfigError(
                    f"pool: {pool.workers} workers of {each:g} {what}s each, this machine's Ray hands "
                    f"out {have:g}; set fewer or attach to a cluster (RAY_ADDRESS)"
                )
        self.group = Group(pool, self.max_failures, self.own)
        return self.group

    def _release(self) -> None:
        group, self.group = self.group, None
        if group is not None:
            group.close()
            if group.alive:
                self.leaving.append(group)

    def _room(self, steps: Sequence[Step], parts: int) -> tuple[float, float, list[float]]:
        """The (cores, GPUs, cores of each node) a map may hold; an idle group that leaves too few is ended first."""
        cpus, gpus = self._beside()
        nodes = [] if self.own else ray_session.free("CPU")
        sizes = [step.pool.cpus for step in steps for _ in range(max(1, min(step.pool.workers, parts)))]
        short_of_cpus = cpus < (LEAST if self.own else sum(s.pool.cpus * s.pool.workers for s in steps))
        short_of_cpus |= bool(nodes) and not ray_data.find_place(sizes, nodes)
        short_of_gpus = sum(s.pool.gpus * s.pool.workers for s in steps) > gpus
        if (short_of_cpus or short_of_gpus) and self.lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self.lock.release()
            cpus, gpus = self._beside()
            nodes = [] if self.own else ray_session.each("CPU")
        return max(cpus, LEAST), gpus, nodes

    def _at_risk(self, cpus: float) -> float:
        """The cores that go with one node; none where there is only one, whose loss nothing survives."""
        largest = 0.0 if self.own else ray_session.largest("CPU")
        return largest if largest < cpus else 0.0

    def _beside(self) -> tuple[float, float]:
        held = self.group.pool if self.group is not None and self.group.alive else None
        workers = held.workers if held else 0
        return (
            ray_session.total("CPU") - workers * (held.cpus if held else 0.0),
            ray_session.total("GPU") - workers * (held.gpus if held else 0.0),
        )
