"""`fit` on Ray Train: one long-lived worker group serves one job after another.

Starting a group costs more than many a fit (processes, imports, a rendezvous), so a group is one TorchTrainer run
whose train function fetches jobs from a mailbox until it is dismissed. When a worker dies, Ray Train starts the group
anew; its loop finds the job that is not over and resumes it from that job's own last checkpoint. Checkpoints lie at
the job's work place and not in the run's storage, because the run outlives the job and a job may outlive the driver.
"""

import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle as cloudpickle
import ray.train
import torch
import torch.distributed as dist
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unisid.compute import Pool, Report, Stream, Worker
from unisid.errors import ConfigError, MachineError, UnisidError
from unisid.runtime.checkpoints import Checkpoints, Position
from unisid.runtime.interfaces import OnNodes
from unisid.runtime.leftovers import Scratch
from unisid.runtime.local import PROGRESS, Member, Send
from unisid.runtime.mailbox import Mailbox
from unisid.runtime.ray_data import read
from unisid.runtime.ray_local import OneMachine
from unisid.runtime.streams import pieces

CURABLE = (RuntimeError, OSError, ray.exceptions.RayError)
"""What a restart may cure: a lost peer, a full GPU, a network. Anything else is a fault of the program."""


NOTHING = (-1, 0)
"""What is sent in place of a checkpoint's position where there is none."""


ABORT_SECONDS = 15.0
"""A controller that has not ended its workers by then is killed, and they with it."""


@dataclass(frozen=True)
class Assignment:
    """One fit as it travels to the workers."""

    train: Callable[[Worker, Any], Any]
    task: Any
    pool: Pool
    streams: Mapping[str, Stream]
    checkpoints: Checkpoints


class RayMember(Member):
    """A worker whose streams come through Ray Data: read ahead in other processes, in stored order.

    Args:
        spare: called on rank 0 at the first notice that a node will be taken away.
    """

    def __init__(
        self, pool: Pool, streams: Mapping[str, Stream], checkpoints: Checkpoints, send: Send, spare: Callable[[], None]
    ) -> None:
        super().__init__(pool, streams, checkpoints, None, send)
        self.spare: Callable[[], None] | None = spare

    def is_preempted(self) -> bool:
        found = ray.train.get_preemption_info() is not None
        if found and self.rank == 0 and self.spare is not None:
            self.spare()
            self.spare = None
        return found

    def stream(self, name: str) -> Iterator[pa.Table]:
        return read(self.streams[name], pieces(self.streams[name], self.rank, self.size))


class Introduction(ControllerCallback):
    """Hands the mailbox the handle of the group's controller, which Ray Train keeps to itself."""

    def __init__(self, mailbox: Any) -> None:
        self.mailbox = mailbox

    def after_controller_start(self, train_run_context: Any) -> None:
        ray.get(self.mailbox.introduce.remote(ray.get_runtime_context().current_actor))


class Group:
    """A running worker group of one shape, seen from the driver.

    Args:
        own: whether the session is this machine's own: its workers are joined without a socket that others reach.
    """

    def __init__(self, pool: Pool, max_failures: int, own: bool) -> None:
        self.pool, self.own, self.busy = pool, own, False
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # beside the driver: on a node that may be lost, a job would be lost with it
        self.mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote(max_failures)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True, name="worker-group")
        self.thread.start()

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def fit(self, job: Assignment, report: Report | None) -> Any:
        """Give the group a job and follow it to its end; each of its reports is passed on once."""
        shown, self.busy = -1, True
        number = ray.get(self.mailbox.put.remote(cloudpickle.dumps(job)))
        for kind, value in self._events(number):
            self.busy = kind == "report"
            if kind == "report":
                # work done again after a crash reports again
                if (value[0] > shown or value[0] == PROGRESS) and report is not None:
                    report(value[1])
                shown = max(shown, value[0])
            elif kind == "result":
                return cloudpickle.loads(value)
            elif kind == "error":
                raise cloudpickle.loads(value)
            else:
                raise MachineError(
                    f"fit '{job.checkpoints.name}': {value}; nodes that stay, and more memory or "
                    "smaller batches, are needed; the same command goes on"
                )

    def close(self) -> None:
        """End the workers and free their cores: idle ones are dismissed, those in the middle of a job are killed.

        A job may be long from any point where it could be stopped; its checkpoints are whole at any moment.
        """
        if not self.alive:
            return
        controller = ray.get(self.mailbox.close.remote())
        if self.busy and controller is not None:
            try:
                ray.get(controller.abort.remote(), timeout=ABORT_SECONDS)  # as Ray Train itself does at Ctrl-C
            except ray.exceptions.RayError:  # it is gone, as it should be, or hangs
                ray.kill(controller)
        self.thread.join(timeout=60.0)

    def _events(self, number: int) -> Iterator[tuple[str, Any]]:
        seen = 0
        while True:
            pending = self.mailbox.events_of.remote(number, seen)
            while not ray.wait([pending], timeout=1.0)[0]:
                if not self.alive:
                    raise ConfigError(
                        f"pool: a group of {self.pool.workers} workers with {self.pool.cpus:g} CPUs and "
                        f"{self.pool.gpus:g} GPUs each could not be kept running ({self.failure}); "
                        f"the cluster has {_resources()}"
                    ) from self.failure
            events = ray.get(pending)
            seen += len(events)
            yield from events

    def _run(self) -> None:
        """The TorchTrainer's whole life, in a thread of the driver."""
        resources = {"CPU": self.pool.cpus} | ({"GPU": self.pool.gpus} if self.pool.gpus else {})
        alone = self.own and len(ray.nodes()) == 1  # a session of the caller's may be a cluster's
        backend = "nccl" if self.pool.gpus >= 1 else "gloo"  # several ranks on one GPU are beyond NCCL
        with Scratch("group") as folder:
            trainer = TorchTrainer(
                serve,
                train_loop_config={"mailbox": self.mailbox},
                torch_config=OneMachine(backend=backend, folder=folder) if alone else OnNodes(backend=backend),
                scaling_config=ray.train.ScalingConfig(
                    num_workers=self.pool.workers, use_gpu=self.pool.gpus > 0, resources_per_worker=resources
                ),
                run_config=ray.train.RunConfig(
                    name=f"group-{uuid.uuid4().hex[:8]}",
                    storage_path=folder,
                    # the mailbox counts the failures of each job
                    failure_config=ray.train.FailureConfig(max_failures=-1, controller_failure_limit=3),
                    callbacks=[Introduction(self.mailbox)],
                ),
            )
            try:
                trainer.fit()
            except Exception as error:
                self.failure = error


def serve(config: dict[str, Any]) -> None:
    """Run on every worker of a group: take jobs and do them in step with the others, until the group is closed."""
    mailbox, done = config["mailbox"], -1
    rank = ray.train.get_context().get_world_rank()
    while (found := ray.get(mailbox.take.remote(done, rank))) is not None:
        done, job = found
        _perform(mailbox, done, job)


def _perform(mailbox: Any, number: int, packed: bytes) -> None:
    member: Member | None = None
    try:
        job: Assignment = cloudpickle.loads(packed)
        member = _member(mailbox, number, job)
        value = job.train(member, job.task)
        member.all_reduce(torch.zeros(1, device=member.device)).item()  # over for all, or for none
        if member.rank == 0:
            ray.get(mailbox.post.remote(number, ("result", cloudpickle.dumps(value))))
    except Exception as error:
        if _is_disbanded():
            raise  # whatever follows from it, of whatever type, is no fault of the job
        if isinstance(error, CURABLE):
            text = f"{type(error).__name__}: {error}"
            ray.get(mailbox.report_retryable_error.remote(number, text, member and member.last, _packed(error)))
            raise
        ray.get(mailbox.post.remote(number, ("error", _packed(error))))
        if member is None or member.size > 1:
            raise  # peers may be waiting in a collective: only a restart brings the group back in step


def _is_disbanded() -> bool:
    """Whether Ray Train has ended the process group of this worker's group, as it does when a peer was lost."""
    return ray.train.get_context().get_world_size() > 1 and not dist.is_initialized()


def _member(mailbox: Any, number: int, job: Assignment) -> RayMember:
    if _is_disbanded():
        raise RuntimeError("the group of workers was ended")  # and this one is not a group of its own

    def send(report: int, metrics: Mapping[str, float]) -> None:
        ray.get(mailbox.post.remote(number, ("report", (report, dict(metrics)))))

    def spare() -> None:
        ray.get(mailbox.spare.remote(number))

    member = RayMember(job.pool, job.streams, job.checkpoints, send, spare)
    last = job.checkpoints.last() if member.rank == 0 else None
    reports, steps = member.broadcast(torch.tensor(last or NOTHING, device=member.device)).tolist()
    member.last = None if (reports, steps) == NOTHING else Position(reports, steps)
    return member


def _packed(error: Exception) -> bytes:
    """An error for the driver, with the worker's traceback; one that does not travel becomes a RuntimeError."""
    trace = "".join(traceback.format_exception(error))
    if not isinstance(error, UnisidError):
        error.add_note(f"In the worker:\n{trace}")
    try:
        packed = cloudpickle.dumps(error)
        cloudpickle.loads(packed)
    except Exception:
        return cloudpickle.dumps(RuntimeError(trace))
    return packed


def _resources() -> str:
    have = ray.cluster_resources()
    return f"{have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs"
