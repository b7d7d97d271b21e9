"""The overnight batch beside `Recommender.rank` in a loop: users a second, here and on 1 and 2 workers of Ray.

python -m benchmarks.overnight

The smallest TIGER over 10,000 items, ten items a user, 50 beams, one thread a process. The loop ranks one user a call;
the batch is timed from its call to its last file, so that loading the pair in every worker counts, and Ray's start does
not. All ways must give the same files or the same items.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from benchmarks.serving import K, small_store
from unisid.artifacts.store import Address, Place
from unisid.compute import Compute, Pool
from unisid.runtime.local import LocalCompute
from unisid.runtime.ray_compute import RayCompute
from unisid.serving.overnight import Overnight, Sources, recommend_all
from unisid.serving.pair import Pair

USERS, SHARD, IN_A_LOOP = 4096, 512, 256


def main() -> dict[str, Any]:
    """Users a second of each way, and the ratio to the loop."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = small_store(Path(folder) / "store", USERS)
        model, codes, catalog = (
            store.place(Address.parse(f"{noun}/bench/1")) for noun in ("model", "codes", "catalog")
        )
        pair = Pair.load(model, codes, catalog)
        histories = [pair.history_of(user) for user in range(USERS)]
        pair.recommender.rank(histories[:1], K)
        begun = time.perf_counter()
        listed = [pair.recommender.rank([history], K)[0][0] for history in histories[:IN_A_LOOP]]
        loop = IN_A_LOOP / (time.perf_counter() - begun)
        result: dict[str, Any] = {"users": USERS, "rank_in_a_loop": {"users_per_second": round(loop, 1)}}
        sources, outs = Sources(model, codes, catalog), []

        def batch(name: str, compute: Compute, workers: int) -> None:
            out, begun = Path(folder) / name, time.perf_counter()
            recommend_all(sources, Overnight(k=K, shard=SHARD, pool=Pool(workers=workers)), Place.of(out), compute)
            rate = USERS / (time.perf_counter() - begun)
            result[name] = {"users_per_second": round(rate, 1), "times_faster": round(rate / loop, 2)}
            outs.append({path.name: path.read_bytes() for path in out.glob("*.parquet")})

        batch("in_this_process", LocalCompute(), 1)
        with RayCompute.open(cpus=4) as compute:
            batch("warm_up", compute, 1)  # what a worker imports for the first time
            for workers in (1, 2):
                batch(f"workers_{workers}", compute, workers)
        del result["warm_up"]
        assert all(files == outs[0] for files in outs)
        table = pq.read_table(Path(folder) / "in_this_process").to_pydict()
        names = [pair.item_ids[item] for items in listed for item in items]
        assert table["item_id"][: len(names)] == names
    return result


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
