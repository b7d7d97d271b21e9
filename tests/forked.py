"""The command line in processes that are forked from one which has imported PyTorch, MLflow and their like.

A new Python imports these for five seconds of a core, before a test of a few seconds begins. Here one server a test
process does so once; each command is forked from it, and imports what is ours by itself. What a command is must be
told in full: its words, environment, folder and streams. Tests of a process's first moments begin a new Python.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[1]
IMPORTED = (
    "torch._dynamo",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "alembic.command",
    "transformers.models.t5.modeling_t5",
    "scipy.stats",
    "pandas",
    "pyarrow.dataset",
    "altair",
    "vl_convert",
)
COMMAND = "unisid.cli"
MOST = 1 << 20
"""Bytes of a request, which holds an environment."""
HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
"""Signals that a shell or `nohup` has a process ignore, and its children too; what they do otherwise."""


class Process:
    """A command that runs; as far as it goes, what `subprocess.Popen` is."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self.pid = int(answers.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs; the negative signal where that ended it."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises TimeoutExpired after so many seconds."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(COMMAND, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            self.returncode = int(self._answers.recv(32))
            self._answers.close()
        return self.returncode


def begin(
    *words: str,
    env: Mapping[str, str],
    out: BinaryIO | None = None,
    err: BinaryIO | None = None,
    cwd: Path = ROOT,
    start_new_session: bool = False,
) -> Process:
    """Begin `python -m unisid.cli WORDS`; streams that are not given are /dev/null."""
    request = {"words": words, "env": dict(env), "cwd": str(cwd), "apart": start_new_session}
    with Path(os.devnull).open("r+b") as nothing:
        return _sent(_server(), request, [(stream or nothing).fileno() for stream in (None, out, err)])


def _sent(server: str, request: Mapping[str, Any], streams: list[int]) -> Process:
    answers = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    answers.connect(server)
    ignored = [number for number in HANDLERS if signal.getsignal(number) is signal.SIG_IGN]
    socket.send_fds(answers, [json.dumps({**request, "ignored": ignored}).encode()], streams)
    return Process(answers)


def client(*words: str) -> list[str]:
    """A command line that does as `python -m unisid.cli WORDS` does, for a shell: a small process which hands its
    folder, environment and streams (all three must be open) to a forked one, and ends as that does."""
    return [sys.executable, "-I", "-S", __file__, "begin", _server(), *words]


def run(
    *words: str, env: Mapping[str, str], cwd: Path = ROOT, timeout: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, as `subprocess.run` does with captured text; TimeoutExpired ends it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = begin(*words, env=env, cwd=cwd, out=out, err=err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    return subprocess.CompletedProcess(words, code, *said)


@functools.cache
def _server() -> str:
    """Where this process's server listens; it is started by the first request, and ends with this process."""
    folder = tempfile.mkdtemp(prefix="forked-", dir="/tmp")  # a socket's path must be short
    path = f"{folder}/socket"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "UNISID_"))}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", path],
        cwd=ROOT,
        env=kept | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    atexit.register(server.communicate)
    while not Path(path).exists():
        assert server.poll() is None
        time.sleep(0.02)
    return path


def _serve(path: str) -> list[str] | None:
    """Fork a process for every request, until the standard input ends: returns None here, and in each process that is
    forked for a command its words."""
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the processes that wait for a command are reaped by the system
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(f"{path}.new")
        door.listen()
        Path(f"{path}.new").rename(path)
        while select.select([door, sys.stdin], [], [])[0] != [sys.stdin]:
            answers, _ = door.accept()
            if os.fork() == 0:
                door.close()
                return _answered(answers)
            answers.close()
    return None


def _answered(answers: socket.socket) -> list[str]:
    """In a fork of the server: fork the command, send its number and in the end its exit code; returns, in the
    command's own process, its words."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(answers, MOST, 3)
    command = os.fork()
    if command:
        answers.send(str(command).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        with contextlib.suppress(OSError):  # the process that began it may be gone
            answers.send(str(code).encode())
        os._exit(0)
    answers.close()
    request = json.loads(message)
    if request["apart"]:
        os.setsid()
    for number, handler in HANDLERS.items():  # the server has those of the process that started it
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = request["cwd"]
    for ours, theirs in enumerate(streams):
        os.dup2(theirs, ours)
        os.close(theirs)
    return list(request["words"])


if __name__ == "__main__":
    if sys.argv[1] == "begin":
        told = {"words": sys.argv[3:], "env": dict(os.environ), "cwd": os.getcwd(), "apart": False}
        sys.exit(_sent(sys.argv[2], told, [0, 1, 2]).wait())
    if (words := _serve(sys.argv[1])) is not None:
        sys.argv = [COMMAND, *words]
        runpy.run_module(COMMAND, run_name="__main__", alter_sys=True)
