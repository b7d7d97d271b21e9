"""A fit whose only node is taken away, with and without notice: python -m tests.runtime.preempted

Prints the steps that are done again. The cut comes at the same moment of the fit in both.
"""

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.runtime import heads, toy_long

NOTICE = 12
"""Seconds from the notice until the node is gone."""
SAVED = "work/slow/checkpoint-*.*/complete"
BEGUN = 10
"""Steps before the notice."""


@dataclass(frozen=True)
class Story:
    """What became of the fit."""

    steps: list[int]
    """By number, as they were done; those that were done again twice."""
    weights: list[float]

    @property
    def repeated(self) -> range:
        """The steps that were done again."""
        [jump] = [(last, first) for last, first in itertools.pairwise(self.steps) if first <= last]
        return range(jump[1], jump[0] + 1)


def story(folder: Path, notice: bool) -> Story:
    """A fit on a node that a cloud takes away, announced to Ray or not, and its end on another one."""
    file = folder / "steps"

    def done() -> list[int]:
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    with heads.head(cpus=0) as head, node(head, "127.0.0.2") as spot:
        heads.until(lambda: head.nodes() == 2, "the spot node is there")
        program = [sys.executable, "-m", "tests.runtime.toy_long", str(folder)]
        env = head.env | {"RAY_ADDRESS": head.address, "OMP_NUM_THREADS": "1"}
        run = subprocess.Popen(
            program, cwd=heads.ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        heads.until(lambda: run.poll() is not None or len(done()) > BEGUN, "some steps are done")
        assert run.poll() is None, run.communicate()
        cut = time.monotonic() + NOTICE
        if notice:
            drain(head)
            heads.until(lambda: run.poll() is not None or list(folder.glob(SAVED)), "a checkpoint is there")
            assert run.poll() is None, run.communicate()
        with node(head, "127.0.0.3"):
            heads.until(lambda: head.nodes() >= 2, "another node is there")
            time.sleep(max(0.0, cut - time.monotonic()))
            heads.end(spot, seconds=0)
            said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return Story(done(), json.loads((folder / "weights.json").read_text()))


def drain(head: heads.Head) -> None:
    """Announce that the node with cores will be taken away, as a cloud announces the end of a spot machine."""
    given = head.command(
        "drain-node",
        f"--address={head.address}",
        f"--node-id={with_cores(head)}",
        "--reason=DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message=the cloud wants it back",
        f"--deadline-remaining-seconds={NOTICE}",
    )
    assert given.returncode == 0, given.stderr


def node(head: heads.Head, ip: str) -> contextlib.AbstractContextManager["subprocess.Popen[bytes]"]:
    """A node of two cores, at an address of its own: else the driver may take it for the one that it belongs to."""
    words = ["--address", head.address, "--num-cpus=2", f"--node-ip-address={ip}"]
    return heads.started(words, heads.free_ports(2), head.env)


def with_cores(head: heads.Head) -> str:
    """The id of the node that has cores."""
    program = "import ray; ray.init(); print('NODE', *(n['NodeID'] for n in ray.nodes() if n['Resources'].get('CPU')))"
    env = head.env | {"RAY_ADDRESS": head.address}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("NODE ")]
    return line.split()[1]


def main() -> None:
    total = toy_long.STEPS * toy_long.EPOCHS
    for notice in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            found = story(Path(folder), notice)
        again = found.repeated
        print(
            f"{'with' if notice else 'without'} a notice: cut after step {again.stop} of {total}, goes on after step "
            f"{again.start}: {len(again)} steps of {toy_long.SECONDS} s are done again",
            flush=True,
        )


if __name__ == "__main__":
    main()
