"""A toy fit that uses all a worker offers, and toy steps; at module level, so that workers can import them."""

import functools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import nn

from unisid.artifacts.store import Place
from unisid.compute import Stream, Worker
from unisid.errors import ArtifactError, DataError
from unisid.training.loop import Training, run

GROUPS = ((7, 5, 16), (1,), (20, 14))
"""Rows of every row group of every file: 63 in all, ragged on purpose."""
BATCH = 12


@dataclass(frozen=True)
class Toy:
    """What to train and what to suffer; a disaster strikes once, when its marker file is not there yet."""

    epochs: int = 4
    disaster: str = ""
    """'kill', 'disband', 'data error', 'runtime error', 'bug', 'stand still', or nothing."""
    at_epoch: int = 2
    on_rank: int = 0
    marker: str = ""
    """Without a marker file the disaster strikes every time."""


class Contrast:
    """Pulls x and y = Mx of a row together and all others of the global batch apart; rows come as a stream."""

    higher_is_better = False

    def __init__(self, worker: Worker, toy: Toy) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        self.worker, self.toy = worker, toy

    def steps_per_epoch(self):
        return 63 // BATCH

    def batches(self, epoch):
        if epoch == self.toy.at_epoch and self.worker.rank == self.toy.on_rank:
            strike(self.toy)
        share, kept = BATCH // self.worker.size, torch.empty(0, 5)
        for table in self.worker.stream("rows"):
            kept = torch.cat([kept, torch.tensor([*table["values"].to_pylist()], dtype=torch.float32).reshape(-1, 5)])
            while len(kept) >= share:
                yield kept[:share]
                kept = kept[share:]

    def loss(self, rows):
        anchors, targets = self.model(rows[:, :3]), rows[:, 3:]
        everyone = self.worker.all_gather(targets * self.model[2].bias)
        logits = anchors @ everyone.T
        own = torch.arange(len(rows)) + self.worker.rank * len(rows)
        loss = nn.functional.cross_entropy(logits, own)
        return loss, {}

    def validate(self):
        return {"score": float(self.model(torch.ones(1, 3)).sum())}


def strike(toy: Toy) -> None:
    if toy.marker:
        if Path(toy.marker).exists():
            return
        Path(toy.marker).touch()
    if toy.disaster == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif toy.disaster == "disband":
        torch.distributed.destroy_process_group()  # as Ray Train does on all workers when one was lost
    elif toy.disaster == "data error":
        raise DataError("rows: row 3 is NaN; must be finite")
    elif toy.disaster == "runtime error":
        raise RuntimeError("shapes [3] and [4] do not match")
    elif toy.disaster == "bug":
        raise KeyError("no such thing")
    elif toy.disaster == "stand still":
        time.sleep(1e6)


def train(worker: Worker, toy: Toy) -> dict[str, Any]:
    objective = Contrast(worker, toy)
    outcome = run(worker, objective, Training(epochs=toy.epochs, learning_rate=0.05, checkpoint_seconds=0.0))
    weights = {k: v.numpy().tobytes() for k, v in objective.model.state_dict().items()}
    return {"weights": weights, "epochs": outcome.epochs, "pid": os.getpid()}


def weights(result: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.frombuffer(v, np.float32) for v in result["weights"].values()])


def shares(worker: Worker, task: None) -> list[list[int]]:
    """Every worker's row numbers, gathered."""
    rows = torch.tensor([r for t in worker.stream("rows") for r in t["row"].to_pylist()])
    return worker.all_gather(rows.unsqueeze(0)).tolist()


def gathered_gradient(worker: Worker, rows: torch.Tensor) -> torch.Tensor:
    """d/dx of the mean over workers of each one's loss, which looks at every worker's rows."""
    own = rows.chunk(worker.size)[worker.rank].clone().requires_grad_()
    everyone = worker.all_gather(own * 2)
    loss = (own.sum(1, keepdim=True) @ everyone.square().sum(1, keepdim=True).T).tanh().mean()
    (loss / worker.size).backward()
    return worker.all_gather(own.grad)


def write_rows(place: Place) -> Stream:
    """The table of the toy: `row` numbers and `values` [5], in three files of ragged row groups."""
    values = np.random.default_rng(0).normal(size=(63, 5)).astype(np.float32)
    row = 0
    for index, groups in enumerate(GROUPS):
        with place.writing(f"rows-{index:05d}.parquet") as stream:
            tables = []
            for size in groups:
                part = pa.FixedSizeListArray.from_arrays(pa.array(values[row : row + size].reshape(-1)), 5)
                tables.append(pa.table({"row": np.arange(row, row + size), "values": part, "unused": [""] * size}))
                row += size
            with pq.ParquetWriter(stream, tables[0].schema) as writer:
                for table in tables:
                    writer.write_table(table)
    return Stream(place, "rows-", ("row", "values"))


def repeat(table: pa.Table) -> pa.Table:
    """A part {"n": n} becomes n rows 0 .. n - 1 with types that Arrow has and pandas has not."""
    n = table["n"][0].as_py()
    ragged = pa.LargeListArray.from_arrays(
        pa.array(np.arange(n + 1), pa.int64()),
        pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2 * n), pa.float16()), 2),
    )
    return pa.table({"part": pa.array([n] * n, pa.int32()), "k": np.arange(n), "states": ragged, "no": pa.nulls(n)})


def only_odd(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(pc.bit_wise_and(table["k"], 1), 1))


def make_repeat():
    return repeat


def make_only_odd():
    return only_odd


def refuse(table: pa.Table) -> pa.Table:
    if table["n"][0].as_py() == 3:
        raise DataError("part 3: is empty; must hold rows")
    return table


def make_refuse():
    return refuse


def make_nothing():
    raise ArtifactError("model: no weights here; make them first")


def die_once(marker: str, table: pa.Table) -> pa.Table:
    if table["n"][0].as_py() == 4 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return table


def make_die_once(marker: str):
    return functools.partial(die_once, marker)


def wait(marker: str, table: pa.Table) -> pa.Table:
    """Write down the process's number, and stay."""
    Path(f"{marker}.part").write_text(str(os.getpid()))
    Path(f"{marker}.part").rename(marker)
    time.sleep(600)
    return table


def make_wait(marker: str):
    return functools.partial(wait, marker)


def waits(worker: Worker, folder: str) -> None:
    """Say that this worker is there, joined with its peers, and stay."""
    worker.all_reduce(torch.ones(1))
    (Path(folder) / f"rank-{worker.rank}").touch()
    time.sleep(600)
