"""A Ray of our own: reached from this machine only, with a token, and gone with the process that began it."""

import contextlib
import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.runtime.heads import until

ROOT = Path(__file__).parents[2]
DRIVER = """
import os, sys
from pathlib import Path
from tests.runtime.toy_fit import waits
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.runtime.ray_compute import RayCompute

with RayCompute.open(cpus=4) as compute:
    Path(sys.argv[1], "token").write_text(os.environ["RAY_AUTH_TOKEN"])
    compute.fit(waits, sys.argv[1], name="waits", pool=Pool(workers=2, cpus=1), work=Place.of(sys.argv[1]))
"""
CLIENT = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False)
except Exception as error:
    print("REFUSED", type(error).__name__, error)
else:
    print("LET IN")
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A process in the middle of a fit of two workers on a Ray of its own; its TMPDIR and its descendants."""
    folder = tmp_path_factory.mktemp("work")
    scratch = Path(tempfile.mkdtemp(prefix="u", dir="/tmp"))  # Ray's sockets lie in it: their paths must be short
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW"))}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        cwd=ROOT,
        env=kept | {"TMPDIR": str(scratch), "RAY_AUTH_MODE": "disabled"},
    )
    until(lambda: len(list(folder.glob("rank-*"))) == 2 or process.poll() is not None, "both workers are in the fit")
    assert process.poll() is None
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    yield process, scratch, family, (folder / "token").read_text()
    for each in [*family, process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    shutil.rmtree(scratch, ignore_errors=True)


def listening(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return [c.laddr.ip for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    return []


def is_loopback(address):
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


@pytest.mark.slow
def test_all_it_listens_on_is_loopback(driver):
    """In the middle of a fit, with the sockets by which the workers are joined."""
    _, _, family, _ = driver
    found = {(process.name(), address) for process in family for address in listening(process)}
    assert {"gcs_server", "raylet"} <= {name for name, _ in found}
    assert [each for each in found if not is_loopback(each[1])] == []


TOKENS = {
    "its own": ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "{ours}"}, "LET IN"),
    "none": ({}, "REFUSED"),
    "off": ({"RAY_AUTH_MODE": "disabled"}, "REFUSED"),
    "another": ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64}, "REFUSED"),
}
"""What a client has in its environment, and what it is answered."""


@pytest.fixture(scope="module")
def clients(driver, tmp_path_factory):
    """All clients, at once: one that is refused tries for a while."""
    _, _, family, ours = driver
    head = next(process for process in family if process.name() == "gcs_server")
    port = next(c.laddr.port for c in head.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    kept |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # or a client goes to an address that others can reach

    def client(name: str) -> subprocess.CompletedProcess[str]:
        token = {key: value.format(ours=ours) for key, value in TOKENS[name][0].items()}
        return subprocess.run(
            [sys.executable, "-c", CLIENT, f"127.0.0.1:{port}"],
            env=kept | {"HOME": str(tmp_path_factory.mktemp("home"))} | token,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    with ThreadPoolExecutor(len(TOKENS)) as pool:
        yield {name: pool.submit(client, name) for name in TOKENS}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENS)
def test_a_client_is_let_in_with_its_token_alone(clients, name):
    """Though the environment that it was started in said `disabled`: that is meant for clusters."""
    found = clients[name].result()
    assert found.stdout.startswith(TOKENS[name][1]), found.stdout + found.stderr


@pytest.mark.slow
def test_it_is_gone_after_its_driver_is_killed(driver):
    """And the folders of the dead are removed by the next who makes one."""
    process, scratch, family, _ = driver
    assert list(scratch.glob("unisid-group-*"))
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family[1:], timeout=30)
    assert alive == []
    program = "from unisid.runtime.leftovers import Scratch; Scratch('group').cleanup()"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"TMPDIR": str(scratch)}, check=True)
    assert list(scratch.glob("unisid-*")) == []


def test_the_environment_is_left_as_it_was():
    """In a process of its own: here a Ray may run whose token Ray's core would forget."""
    program = """if True:
        import os
        from unisid.runtime.ray_local import guarded

        before = dict(os.environ)
        with guarded() as settings:
            assert settings["_node_ip_address"] == "127.0.0.1"
            assert os.environ["RAY_AUTH_MODE"] == "token"
            assert os.environ["RAY_AUTH_TOKEN"] != "the cluster's"
        assert dict(os.environ) == before
    """
    told = os.environ | {"RAY_AUTH_TOKEN": "the cluster's", "RAY_AUTH_MODE": "disabled"}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=told, check=True)
