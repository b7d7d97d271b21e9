"""A recommender that learns from its own answers: it is rewarded for items of even number.

At module level, so that spawned workers can import it.
"""

from dataclasses import dataclass
from typing import Any

import torch

from tests.backbones.models import index_of
from unisid.backbones import tiger
from unisid.training.loop import Training, run

ITEMS, HISTORY, ROWS, STEPS, ANSWERS = 24, 3, 8, 3, 6
SMALL = tiger.Config(
    width=128,
    num_heads=2,
    head_width=16,
    feedforward_width=128,
    num_encoder_layers=1,
    num_decoder_layers=1,
    dropout=0.0,
)


@dataclass(frozen=True)
class Task:
    training: Training


class Rewarded:
    """Histories are drawn for the whole global batch; each worker answers its share of them."""

    higher_is_better = True

    def __init__(self, worker: Any) -> None:
        torch.manual_seed(0)
        self.index = index_of((4, 4, 4), ITEMS)
        self.model = SMALL.build(self.index)
        self.worker = worker
        self.modes: list[tuple[bool, bool]] = []

    def steps_per_epoch(self) -> int:
        return STEPS

    def batches(self, epoch: int):
        for step in range(STEPS):
            own = histories(epoch * STEPS + step)[self.worker.rank :: self.worker.size]
            yield own, torch.zeros(len(own), ANSWERS, dtype=torch.long)

    def rollout(self, batch):
        self.modes.append((self.model.training, torch.is_grad_enabled()))
        return batch[0], self.model.search(batch[0], self.index, k=ANSWERS, beam=ITEMS).items

    def loss(self, batch):
        asked, answers = batch
        rewards = (answers % 2 == 0).float()
        advantage = (rewards - rewards.mean(1, keepdim=True)).flatten()
        log_probs = self.model.log_probs(asked.repeat_interleave(ANSWERS, 0), answers.flatten(), self.index).sum(1)
        return -(advantage * log_probs).mean(), {"reward": rewards.mean()}

    def validate(self):
        found = self.model.search(histories(10_000), self.index, k=ANSWERS, beam=ITEMS).items
        return {"score": (found % 2 == 0).float().mean()}


def histories(step: int) -> torch.Tensor:
    return torch.randint(ITEMS, (ROWS, HISTORY), generator=torch.Generator().manual_seed(step))


def train(worker: Any, task: Task) -> dict[str, Any]:
    """Everything rank 0 can tell of it."""
    objective = Rewarded(worker)
    before = objective.validate()["score"].item()
    outcome = run(worker, objective, task.training)
    weights = {name: weight.detach().numpy() for name, weight in objective.model.named_parameters()}
    return {"before": before, "score": outcome.best_score, "weights": weights, "modes": objective.modes}


def train_each(worker: Any, tasks: list[Task]) -> list[dict[str, Any]]:
    """One fit after another in the same processes."""
    return [train(worker, task) for task in tasks]
