"""A tiny language model to fit: tied weights, a frozen layer, a buffer, and losses that are sums over ragged labels.

At module level, so that spawned workers and Ray's can import it.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from unisid.training.loop import Accumulation, Training, run

WORDS, WIDTH, ROWS, STEPS = 100, 128, 8, 3
"""Matrices are larger than what ZeRO 3 leaves whole, so that it has something to share out."""


class Tongue(nn.Module):
    """Says of every word what comes next: the word's row, a frozen mix, a learned one, and the rows again."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.frozen = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, words):
        if self.training:
            self.seen += 1
        hidden = self.norm(torch.tanh(self.mix(self.frozen(self.embed(words)))))
        return self.head(hidden).float()


@dataclass(frozen=True)
class Task:
    training: Training
    micro_batches: int = 1
    stop_at: int = 99
    """An epoch that is not begun."""
    marker: str = ""
    """A file: where it is not there yet, the epoch `stop_at` ends in SIGKILL."""
    full_at: int = 99
    """An epoch whose losses find no memory."""


class Saying:
    """Global batches of 8 rows of 6 words, of which a random share is learned."""

    higher_is_better = False

    def __init__(self, worker: Any, task: Task) -> None:
        torch.manual_seed(0)
        self.model = Tongue()
        self.worker, self.task, self.epoch = worker, task, 0

    def steps_per_epoch(self):
        return STEPS

    def batches(self, epoch):
        self.epoch = epoch
        if epoch == self.task.stop_at and self.worker.rank == self.worker.size - 1:
            if not self.task.marker:
                raise RuntimeError("stopped")
            if not Path(self.task.marker).exists():
                Path(self.task.marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        for step in range(STEPS):
            words, labels = rows(epoch * STEPS + step)
            own = slice(self.worker.rank, None, self.worker.size)
            yield from zip(
                words[own].chunk(self.task.micro_batches), labels[own].chunk(self.task.micro_batches), strict=True
            )

    def loss(self, batch):
        if self.epoch == self.task.full_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total ...")
        return summed(self.model, *batch), {}

    def validate(self):
        words, labels = rows(10_000)
        return {"score": summed(self.model, words, labels) / count((words, labels))}


def rows(number: int):
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(WORDS, (ROWS, 6), generator=generator)
    learned = torch.rand(ROWS, 6, generator=generator) < torch.linspace(0.1, 0.9, ROWS)[:, None]
    return words, torch.where(learned, (words * 3 + 1) % WORDS, -100)


def summed(model, words, labels):
    return functional.cross_entropy(model(words).flatten(0, 1), labels.flatten(), reduction="sum")


def count(batch) -> int:
    return int((batch[1] >= 0).sum())


def train(worker, task: Task):
    objective = Saying(worker, task)
    accumulation = Accumulation(micro_batches=task.micro_batches, count=count, tokens=lambda batch: batch[0].numel())
    outcome = run(worker, objective, task.training, accumulation)
    model = objective.model.train()
    summed(model, *rows(0)).backward()  # the model is an ordinary one again
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return {"weights": weights, "epochs": outcome.epochs, "score": outcome.best_score}
