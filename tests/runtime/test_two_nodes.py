"""A cluster of two nodes on this machine; one is cut off in the middle of a stage, and the stage ends all the same."""

import subprocess
import sys

import pytest

from tests.end_to_end import waiting
from tests.runtime import heads
from unisid.artifacts.record import require
from unisid.artifacts.shards import shard_indices
from unisid.artifacts.store import Address, Place, Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SHARDS = 200


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
