"""The one training loop: batches, loss, step, validation, checkpoint, early stopping; plain torch, any device.

Gradients are averaged over workers by hand after each backward pass, in one flat all-reduce: losses must be means
over the worker's own share of a global batch of equal shares. Each epoch seeds torch anew from (seed, epoch, rank),
so a resumed fit draws what the undisturbed one would have drawn.
"""

import functools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from unisid.compute import Metrics, Worker
from unisid.config import runtime
from unisid.errors import ConfigError, DataError
from unisid.ops.seeded import seed_of
from unisid.training import checkpoint
from unisid.training.precision import Precision, autocast
from unisid.training.schedule import SCHEDULES

B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long and how fast to learn."""

    epochs: int = 100
    """At most this many passes (a pass is what the objective calls one)."""
    patience: int = 10
    """Stop after this many validations without a better one."""
    validate_every: int = 1
    """Epochs between validations."""
    learning_rate: float = 1e-3
    """The peak rate of AdamW."""
    weight_decay: float = 0.0
    """Of AdamW: a step takes away this share of every weight, times the rate."""
    warmup_steps: int = 0
    """Steps over which the rate rises to its peak."""
    schedule: Literal["cosine", "constant", "inverse_square_root"] = "cosine"
    """How the rate goes on after the warm-up: `cosine` falls to 0 at the last of `epochs`."""
    gradient_clip: float = 1.0
    """Largest norm of the whole gradient; 0 for no limit."""
    seed: int = 42
    """Decides first weights, the order of batches and dropout."""
    precision: Precision = "auto"
    """Of forward passes; `auto`: bfloat16 on a GPU, float32 on a CPU."""
    checkpoint_seconds: float = runtime(60.0)
    """Commit a checkpoint at the first epoch's end after so many seconds; a killed fit loses no more than this."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.patience < 1 or self.validate_every < 1 or not self.learning_rate > 0:
            raise ConfigError(
                f"training: epochs {self.epochs}, patience {self.patience}, validate_every {self.validate_every}, "
                f"learning_rate {self.learning_rate}: must all be positive"
            )


class Objective(Protocol[B]):
    """What a stage brings to the loop."""

    model: nn.Module
    higher_is_better: bool
    """Of the metric that `validate` returns under "score"."""

    def steps_per_epoch(self) -> int:
        """How many batches `batches` yields; the same on every worker."""
        ...

    def batches(self, epoch: int) -> Iterable[B]:
        """This worker's share of every global batch of an epoch."""
        ...

    def loss(self, batch: B) -> tuple[Tensor, Metrics]:
        """The mean loss of the share, and what else to show of it."""
        ...

    def validate(self) -> Metrics:
        """Must hold "score", equal on every worker; the model is in eval mode, without gradients."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a fit ended. The model holds the best weights."""

    best_score: float
    best_epoch: int
    epochs: int
    seconds: float


def run(worker: Worker, objective: Objective[B], config: Training) -> Outcome:
    """Train until the epochs are done or validation no longer improves; leaves the best weights in the model."""
    model = objective.model.to(worker.device)
    owned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(owned, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    state: dict[str, Any] = {"epoch": 0, "step": 0, "best_score": None, "best_epoch": 0, "seconds": 0.0}
    best: dict[str, Tensor] = {}
    if (directory := worker.resume()) is not None:
        best, state = checkpoint.load(directory, model, optimizer)
    else:
        for tensor in model.state_dict().values():
            worker.broadcast(tensor)
    total_steps = config.epochs * objective.steps_per_epoch()
    begun, saved = time.monotonic() - state["seconds"], time.monotonic()

    while state["epoch"] < config.epochs and not _exhausted(state, config):
        epoch = state["epoch"]
        torch.manual_seed(seed_of(config.seed, epoch, worker.rank))
        shown = _train_epoch(worker, objective, config, optimizer, owned, state, total_steps)
        state["epoch"] = epoch + 1
        last = state["epoch"] == config.epochs
        if state["epoch"] % config.validate_every == 0 or last:
            score, shown_too = _validate(objective)
            shown |= shown_too
            if state["best_score"] is None or _better(score, state["best_score"], objective.higher_is_better):
                state |= {"best_score": score, "best_epoch": state["epoch"]}
                best = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
        state["seconds"] = time.monotonic() - begun
        due = _agreed(worker, time.monotonic() - saved > config.checkpoint_seconds)
        worker.report(
            shown | {"epoch": state["epoch"], "step": state["step"]},
            functools.partial(checkpoint.save, model=model, optimizer=optimizer, best=best, state=dict(state))
            if due
            else None,
        )
        saved = time.monotonic() if due else saved

    if best:
        model.load_state_dict(best)
    return Outcome(float(state["best_score"] or 0.0), state["best_epoch"], state["epoch"], time.monotonic() - begun)


def _train_epoch(worker: Worker, objective: Objective[B], config: Training, optimizer: torch.optim.Optimizer,
                 owned: Sequence[Tensor], state: dict[str, Any], total_steps: int) -> dict[str, float]:  # fmt: skip
    objective.model.train()
    sums: dict[str, Any] = {}
    count = 0
    for batch in objective.batches(state["epoch"]):
        rate = config.learning_rate * SCHEDULES[config.schedule](state["step"], config.warmup_steps, total_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with autocast(config.precision, worker.device):
            loss, shown = objective.loss(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(worker, owned)
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(owned, config.gradient_clip)
        optimizer.step()
        state["step"] += 1
        count += 1
        for name, value in {"loss": loss.detach(), **shown}.items():
            sums[name] = sums.get(name, 0.0) + value  # stays on the device until the epoch ends
    means = {name: float(value) / max(1, count) for name, value in sums.items()}
    if not all(math.isfinite(v) for v in means.values()):
        raise DataError(f"training, epoch {state['epoch']}: the loss is {means['loss']}; lower the learning rate "
                        f"({config.learning_rate}) or look for extreme values in the inputs")  # fmt: skip
    return means


def average_gradients(worker: Worker, parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its mean over workers, with one flat all-reduce."""
    if worker.size == 1:
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = worker.all_reduce(torch.cat([g.reshape(-1) for g in gradients])) / worker.size
    for parameter, piece in zip(parameters, flat.split([g.numel() for g in gradients]), strict=True):
        parameter.grad = piece.view_as(parameter).clone()


def _validate(objective: Objective[B]) -> tuple[float, dict[str, float]]:
    objective.model.eval()
    with torch.no_grad():
        metrics = {k: float(v) for k, v in objective.validate().items()}
    return metrics["score"], {f"valid_{k}": v for k, v in metrics.items()}


def _better(score: float, best: float, higher: bool) -> bool:
    return score > best if higher else score < best


def _exhausted(state: dict[str, Any], config: Training) -> bool:
    waited = (state["epoch"] - state["best_epoch"]) // config.validate_every
    return state["best_score"] is not None and waited >= config.patience


def _agreed(worker: Worker, wish: bool) -> bool:
    """Rank 0's wish, on every worker."""
    flag = torch.tensor([float(wish)], device=worker.device)
    return bool(worker.broadcast(flag).item())
