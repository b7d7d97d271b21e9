"""A node that will be taken away: its notice saves the fit in the middle of an epoch, which goes on elsewhere."""

import itertools
import json
import subprocess
import sys

import pytest

from tests.runtime import heads, toy_long
from unisid.runtime.local import LocalCompute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NOTICE = 20
"""Seconds from the notice until the node is gone."""


def test_the_notice_of_a_node_saves_the_fit_and_another_node_goes_on(tmp_path):
    """The only node with cores is drained as a cloud announces the end of a spot machine; then its power is cut."""
    steps = tmp_path / "steps"
    committed = "work/slow/checkpoint-*.*/complete"

    def done():
        return [int(line) for line in steps.read_text().split()] if steps.exists() else []

    with heads.head(cpus=0) as head, node(head, "127.0.0.2") as spot:
        heads.until(lambda: head.nodes() == 2, "the spot node is there")
        program = [sys.executable, "-m", "tests.runtime.toy_long", str(tmp_path)]
        env = head.env | {"RAY_ADDRESS": head.address, "OMP_NUM_THREADS": "1"}
        run = subprocess.Popen(
            program, cwd=heads.ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        heads.until(lambda: run.poll() is not None or len(done()) > 10, "some steps are done")
        assert run.poll() is None, run.communicate()
        given = head.command(
            "drain-node",
            f"--address={head.address}",
            f"--node-id={with_cores(head)}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=the cloud wants it back",
            f"--deadline-remaining-seconds={NOTICE}",
        )
        assert given.returncode == 0, given.stderr
        heads.until(lambda: run.poll() is not None or list(tmp_path.glob(committed)), "a checkpoint is there")
        assert run.poll() is None, run.communicate()
        with node(head, "127.0.0.3"):
            heads.until(lambda: head.nodes() >= 2, "another node is there")
            heads.end(spot, seconds=0)
            said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    [jump] = [(last, first) for last, first in itertools.pairwise(done()) if first <= last]
    last, first = jump
    assert 0 < first < toy_long.STEPS, "it did not begin its first epoch again"
    assert len(done()) == toy_long.STEPS * toy_long.EPOCHS + last + 1 - first
    assert json.loads((tmp_path / "weights.json").read_text()) == undisturbed(tmp_path / "calm")


def node(head, ip):
    """A node of two cores, at an address of its own: else the driver may take it for the one that it belongs to."""
    words = ["--address", head.address, "--num-cpus=2", f"--node-ip-address={ip}"]
    return heads.started(words, heads.free_ports(2), head.env)


def with_cores(head):
    """The id of the node that has cores."""
    program = "import ray; ray.init(); print('NODE', *(n['NodeID'] for n in ray.nodes() if n['Resources'].get('CPU')))"
    env = head.env | {"RAY_ADDRESS": head.address}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("NODE ")]
    return line.split()[1]


def undisturbed(folder):
    folder.mkdir()
    return toy_long.fit(LocalCompute(), folder, 0.0)
