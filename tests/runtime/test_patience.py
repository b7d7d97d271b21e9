"""A machine on which Ray's node takes longer to come up than Ray allows by itself."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from tests.runtime import heads
from unisid.runtime import PATIENCE

PROGRAM = "from unisid.runtime.ray_session import session\nwith session(cpus=1): print('started')"
LONGER = 35
"""Seconds; without our settings Ray gives a node up after 30."""


@pytest.mark.slow
def test_a_node_that_comes_up_late_is_waited_for():
    plain = {name: value for name, value in os.environ.items() if name not in PATIENCE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=plain, stdout=subprocess.PIPE, text=True) as process:
        try:
            heads.until(lambda: _raylets(process.pid), "Ray's node begins", every=0.001)
            (raylet,) = _raylets(process.pid)
            raylet.suspend()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=LONGER)
            raylet.resume()
            said, _ = process.communicate(timeout=180)
        finally:
            heads.end(process, seconds=0)
    assert (said, process.returncode) == ("started\n", 0)


def _raylets(pid: int) -> list[psutil.Process]:
    """The processes below this one that are Ray's node."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            found += [child] if child.name() == "raylet" else []
    return found
