"""Clusters of several nodes on this machine; a node is cut off in the middle of a stage, which ends all the same."""

import contextlib
import signal
from pathlib import Path

import pytest

from tests import forked
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
UNANNOUNCED = {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0"}
"""No node's end is announced here, so none need listen for it: a process less a fit."""


def test_a_map_survives_the_loss_of_a_node(tmp_path):
    """Three workers over two nodes of two cores make a shard each and wait; they go on when one node is gone."""
    held = waiting.write(tmp_path, waiting.EMBEDDINGS)
    store = tmp_path / "store"
    address = Address.parse("embeddings/spread/1")

    def made():
        """How many shards are there; they lie in a draft until all are."""
        return sum(len(shard_indices(draft, "states")) for draft in Store(Place.of(store)).drafts(address))

    log = tmp_path / "log"
    with heads.head(cpus=2) as head, heads.node(head) as second:
        heads.until(second.joined, "both nodes are there")
        env = head.env | {"RAY_ADDRESS": head.address, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
        run = begun(["run", f"{held.file}:spread", "--until", "embeddings", "--store", str(store)], env, log)
        heads.until(lambda: run.poll() is not None or made(), "the first shards are there")
        assert run.poll() is None, log.read_text()
        heads.end(second.process, seconds=0)
        assert 0 < made() < SHARDS
        held.open()
        assert run.wait(timeout=300) == 0, log.read_text()
    place = Store(Place.of(store)).place(address)
    assert len(shard_indices(place, "states")) == SHARDS
    require(place, "embeddings")


def test_every_stage_survives_the_loss_of_the_node_that_does_its_work(tmp_path):
    """A head without cores and one node, cut off as soon as a stage has begun; another takes its place.

    What is made is byte for byte what a run in one process makes.
    """
    calm, store, log = killing.calm(tmp_path), tmp_path / "store", tmp_path / "log"
    with heads.head(cpus=0) as head, contextlib.ExitStack() as nodes:
        node = nodes.enter_context(heads.node(head))
        # as for a cluster that grows on demand: a run must not take the moment without a node for the cluster's size
        env = head.env | {"RAY_ADDRESS": head.address, "UNISID_CLUSTER_CPUS": "2"} | UNANNOUNCED
        run = begun(["run", killing.RECIPE, "--store", str(store)], env, log)
        for noun in AT_WORK:
            heads.until(lambda noun=noun: run.poll() is not None or begins(store, noun), f"{noun} begins", 300, 0.002)
            assert run.poll() is None, f"{noun}: not seen; {log.read_text()}"
            run.send_signal(signal.SIGSTOP)  # some stages take less time than the end of a node
            heads.end(node.process, seconds=0)
            run.send_signal(signal.SIGCONT)
            assert begins(store, noun), f"{noun} was over before its node was gone"
            node = nodes.enter_context(heads.node(head))
        assert run.wait(timeout=600) == 0, log.read_text()
    killing.check_healed(store, calm)


def begun(words: list[str], env: dict[str, str], log: Path) -> forked.Process:
    """A command that has begun; what it says goes to `log`."""
    with log.open("wb") as out:
        return forked.begin(*words, env=env, out=out, err=out)


def begins(store: Path, noun: str) -> bool:
    """Whether a stage of the tiny recipe is being made."""
    return any((store / noun / killing.NAME).glob(".1.*"))
