"""Clusters of several nodes on this machine; a node is cut off in the middle of a stage, which ends all the same."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end import waiting
from tests.kill import killing
from tests.runtime import heads
from unisid.artifacts.record import require
from unisid.artifacts.shards import shard_indices
from unisid.artifacts.store import Address, Place, Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SHARDS = 200
AT_WORK = ("embeddings", "graph", "fused", "codes", "model", "metrics")
"""The nouns whose stages work on the nodes and not only in the driver, in their order."""


def test_a_map_survives_the_loss_of_a_node(tmp_path):
    """Three workers over two nodes of two cores make a shard each and wait; they go on when one node is gone."""
    held = waiting.write(tmp_path, waiting.EMBEDDINGS)
    store = tmp_path / "store"
    address = Address.parse("embeddings/spread/1")

    def made():
        """How many shards are there; they lie in a draft until all are."""
        return sum(len(shard_indices(draft, "states")) for draft in Store(Place.of(store)).drafts(address))

    with heads.head(cpus=2) as head:
        words = ["--address", head.address, "--num-cpus=2"]
        with heads.started(words, heads.free_ports(2), head.env) as second:
            heads.until(lambda: head.nodes() == 2, "both nodes are there")
            recipe = f"{held.file}:spread"
            program = [sys.executable, "-m", "unisid.cli", "run", recipe, "--until", "embeddings"]
            env = head.env | {"RAY_ADDRESS": head.address, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
            run = subprocess.Popen(
                [*program, "--store", str(store)],
                cwd=heads.ROOT,
                env=env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            heads.until(lambda: run.poll() is not None or made(), "the first shards are there")
            assert run.poll() is None, run.communicate()
            heads.end(second, seconds=0)
            assert 0 < made() < SHARDS
            held.open()
            said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    place = Store(Place.of(store)).place(address)
    assert len(shard_indices(place, "states")) == SHARDS
    require(place, "embeddings")


def test_every_stage_survives_the_loss_of_the_node_that_does_its_work(tmp_path):
    """A head without cores and one node, cut off as soon as a stage has begun; another takes its place.

    What is made is byte for byte what a run in one process makes.
    """
    calm, store, log = killing.calm(tmp_path), tmp_path / "store", tmp_path / "log"
    with heads.head(cpus=0) as head, contextlib.ExitStack() as nodes:

        def joined():
            """A node of two cores, started but not there yet."""
            words = ["--address", head.address, "--num-cpus=2"]
            return nodes.enter_context(heads.started(words, heads.free_ports(2), head.env))

        node = joined()
        heads.until(lambda: head.nodes() == 2, "the node is there")
        # as for a cluster that grows on demand: a run must not take the moment without a node for the cluster's size
        env = head.env | {"RAY_ADDRESS": head.address, "UNISID_CLUSTER_CPUS": "2"}
        program = [sys.executable, "-m", "unisid.cli", "run", killing.RECIPE, "--store", str(store)]
        with log.open("wb") as out:
            run = subprocess.Popen(program, cwd=heads.ROOT, env=env, stdout=out, stderr=out)
        for noun in AT_WORK:
            heads.until(lambda noun=noun: run.poll() is not None or begun(store, noun), f"{noun} begins", 300, 0.002)
            assert run.poll() is None, f"{noun}: not seen; {log.read_text()}"
            run.send_signal(signal.SIGSTOP)  # some stages take less time than the end of a node
            heads.end(node, seconds=0)
            run.send_signal(signal.SIGCONT)
            assert begun(store, noun), f"{noun} was over before its node was gone"
            node = joined()
        assert run.wait(timeout=600) == 0, log.read_text()
    killing.check_healed(store, calm)


def begun(store: Path, noun: str) -> bool:
    """Whether a stage of the tiny recipe is being made."""
    return any((store / noun / killing.NAME).glob(".1.*"))
