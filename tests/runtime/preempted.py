"""A fit whose only node is taken away, with and without notice: python -m tests.runtime.preempted

Prints the steps that are done again. The cut comes at the same moment of the fit in both.
"""

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
SPOT = "5e" * 28
"""The id of the node that is taken away."""


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

    # nodes at addresses of their own: else the driver may take one for the node that it belongs to
    with heads.head(cpus=0) as head, heads.node(head, ip="127.0.0.2", RAY_OVERRIDE_NODE_ID_FOR_TESTING=SPOT) as spot:
        program = [sys.executable, "-m", "tests.runtime.toy_long", str(folder)]
        env = head.env | {"RAY_ADDRESS": head.address, "OMP_NUM_THREADS": "1"}
        run = subprocess.Popen(
            program, cwd=heads.ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        heads.until(lambda: run.poll() is not None or len(done()) > BEGUN, "some steps are done")
        assert run.poll() is None, run.communicate()
        cut = time.monotonic() + NOTICE
        with heads.node(head, ip="127.0.0.3") as other:
            if notice:
                drain(head)
                heads.until(lambda: run.poll() is not None or list(folder.glob(SAVED)), "a checkpoint is there")
                assert run.poll() is None, run.communicate()
            heads.until(other.joined, "another node is there")
            time.sleep(max(0.0, cut - time.monotonic()))
            heads.end(spot.process, seconds=0)
            (folder / toy_long.HURRY).touch()  # what was to be seen has happened
            said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return Story(done(), json.loads((folder / "weights.json").read_text()))


def drain(head: heads.Head) -> None:
    """Announce that the node with cores will be taken away, as a cloud announces the end of a spot machine."""
    given = head.command(
        "drain-node",
        f"--address={head.address}",
        f"--node-id={SPOT}",
        "--reason=DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message=the cloud wants it back",
        f"--deadline-remaining-seconds={NOTICE}",
    )
    assert given.returncode == 0, given.stderr


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
