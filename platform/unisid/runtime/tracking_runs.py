"""Which process writes a run of MLflow, and the runs whose process ended without a word.

A process that is killed closes nothing: its runs would be RUNNING for ever. Each run names its process; the next one
that opens the experiment on that machine closes what dead processes left behind, as KILLED.
"""

import contextlib
import os
import socket
from dataclasses import dataclass

import psutil
from mlflow import MlflowClient

PROCESS = "unisid.process"
"""The tag that names the process: host, process namespace, number, and when it began."""
CLOSED = "unisid.closed"
PAGE = 1000


@dataclass(frozen=True)
class Process:
    """A process of some machine; its start time sets it apart from a later one of the same number."""

    host: str
    namespace: str
    """Containers that share a host's name count their processes each for itself."""
    number: int
    begun: float

    @classmethod
    def own(cls) -> "Process":
        return cls(socket.gethostname(), _namespace(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> "Process | None":
        """The inverse of str(); None for what is no process."""
        with contextlib.suppress(ValueError):
            host, namespace, number, begun = text.split(" ")
            return cls(host, namespace, int(number), float(begun))
        return None

    def __str__(self) -> str:
        return f"{self.host} {self.namespace} {self.number} {self.begun:.2f}"

    @property
    def is_dead(self) -> bool:
        """Whether it has surely ended; nothing is sure of another machine's."""
        if (self.host, self.namespace) != (socket.gethostname(), _namespace()):
            return False
        try:
            return abs(psutil.Process(self.number).create_time() - self.begun) > 1.0
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


def _namespace() -> str:
    with contextlib.suppress(OSError):
        return str(os.stat("/proc/self/ns/pid").st_ino)
    return "-"


def close_orphans(client: MlflowClient, experiment: str) -> int:
    """Set the runs of dead processes to KILLED; returns how many these were."""
    closed, token = 0, None
    while True:
        found = client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=PAGE, page_token=token)
        for run in found:
            process = Process.parse(run.data.tags.get(PROCESS, ""))
            if process is not None and process.is_dead:
                client.set_tag(run.info.run_id, CLOSED, "its process had ended without closing it")
                client.set_terminated(run.info.run_id, "KILLED")
                closed += 1
        token = found.token
        if not token:
            return closed
