"""A fit of slow steps on Ray: `python -m tests.runtime.toy_long FOLDER` trains it on two workers and writes weights.

Once there is a file `hurry` in the folder, its steps are quick.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unisid.artifacts.store import Place
from unisid.compute import Compute, Pool, Worker
from unisid.runtime.ray_compute import RayCompute
from unisid.training.loop import Training, run

STEPS, EPOCHS = 200, 2
SECONDS = 0.1
"""A step's."""
HURRY = "hurry"


class Slow:
    """Fits y = 2x + 1 with dropout; the first worker writes down each of its steps."""

    higher_is_better = False

    def __init__(self, worker: Worker, folder: str, seconds: float) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(0.2), nn.Linear(1, 1))
        self.worker, self.folder, self.seconds = worker, folder, seconds
        self.epoch = 0

    def steps_per_epoch(self):
        return STEPS

    def batches(self, epoch):
        self.epoch = epoch
        for step in range(STEPS):
            x = torch.randn(8, 1, generator=torch.Generator().manual_seed(epoch * STEPS + step))
            yield step, x[self.worker.rank :: self.worker.size]

    def loss(self, batch):
        step, x = batch
        if self.worker.rank == 0:
            with Path(self.folder, "steps").open("a") as out:
                out.write(f"{self.epoch * STEPS + step}\n")
        if self.seconds and not Path(self.folder, HURRY).exists():
            time.sleep(self.seconds)
        return (self.model(x) - (2 * x + 1)).square().mean(), {}

    def validate(self):
        return {"score": float(self.model[1].bias.detach().abs())}


def train(worker: Worker, task: tuple[str, float]) -> list[Any]:
    objective = Slow(worker, *task)
    seldom = Training(
        epochs=EPOCHS, learning_rate=0.05, validate_every=EPOCHS, checkpoint_seconds=1e9, checkpoint_within_seconds=0.0
    )
    run(worker, objective, seldom)
    return [value.tolist() for value in objective.model.state_dict().values()]


def fit(compute: Compute, folder: Path, seconds: float) -> Any:
    return compute.fit(train, (str(folder), seconds), name="slow", pool=Pool(workers=2), work=Place.of(folder / "work"))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    with RayCompute.open() as ray_compute:
        (place / "weights.json").write_text(json.dumps(fit(ray_compute, place, SECONDS)))
