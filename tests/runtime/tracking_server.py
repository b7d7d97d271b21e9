"""A real MLflow server on loopback, without the processes that run its own jobs, of which there are none here."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import requests

from tests.runtime import heads

WITHOUT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def started(port: int, log: Path, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
    """A server of one worker that answers; `heads.end` ends it with its processes.

    Args:
        words: of `mlflow server`: where runs and files are kept.
        environment: besides this process's own without MLFLOW_*.
    """
    command = [str(Path(sys.executable).with_name("mlflow")), "server", *words]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | WITHOUT | environment
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        return False

    heads.until(answers, "MLflow answers")
    return process
