"""The one training loop: batches, loss, step, validation, checkpoint, early stopping; plain torch, any device.

Who holds the weights and takes the steps is the worker's `Engine`. A step's gradient is the mean over workers, and
over micro-batches where there are several: losses must be means over equal shares of a global batch, or sums that
`Accumulation` counts. Each epoch seeds torch anew from (seed, epoch, rank), so a resumed fit draws what the
undisturbed one would have drawn.
"""

import functools
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.bounds import Count, CountOrNone, NotNegative, Positive, Seed, Settings
from unisid.compute import Descent, Engine, Metrics, Worker
from unisid.config import Json, runtime
from unisid.errors import DataError
from unisid.ops.seeded import seed_of
from unisid.precision import Precision, is_bfloat16, width_of
from unisid.progress import HowFar, Throttle
from unisid.training import checkpoint
from unisid.training.checkpoint import Checkpoint
from unisid.training.engine import learned, load_weights
from unisid.training.memory import naming_the_setting
from unisid.training.objective import Exploring, Objective, is_whole, parts_of, shares_of
from unisid.training.repeatable import repeatable
from unisid.training.schedule import SCHEDULES
from unisid.training.throughput import operations_of, peak_of, throughput
from unisid.training.within import Partial, Within, resume, state_of

B = TypeVar("B")
PROGRESS_SECONDS = 15.0
"""In a longer epoch the first worker says so often how far it is: its steps, and its own mean loss since the epoch's
beginning."""
BEST = "best."
"""What names of the best weights so far begin with in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Training(Settings):
    """How long and how fast to learn."""

    epochs: Count = 100
    """At most this many passes (a pass is what the objective calls one)."""
    patience: Count = 10
    """Stop after this many validations without a better one."""
    validate_every: Count = 1
    """Epochs between validations."""
    learning_rate: Positive = 1e-3
    """The peak rate of AdamW."""
    weight_decay: NotNegative = 0.0
    """Of AdamW: a step takes away this share of every weight, times the rate."""
    warmup_steps: CountOrNone = 0
    """Steps over which the rate rises to its peak."""
    schedule: Literal["cosine", "constant", "inverse_square_root"] = "cosine"
    """How the rate goes on after the warm-up: `cosine` falls to 0 at the last of `epochs`."""
    gradient_clip: NotNegative = 1.0
    """Largest norm of the whole gradient; 0 for no limit."""
    seed: Seed = 42
    """Decides first weights, the order of batches and dropout."""
    precision: Precision = "auto"
    """Of forward passes; `auto`: bfloat16 on a GPU, and on a processor with AMX or AVX512-BF16 for matrices of at least
    256; else float32. The record says which it was."""
    zero: Literal[0, 1, 2, 3] = runtime(0)
    """What workers share out by DeepSpeed's ZeRO: 1 the optimizer's state, 2 also gradients, 3 also weights; 0 none."""
    checkpoint_seconds: NotNegative = runtime(60.0)
    """Commit a checkpoint at the first epoch's end after so many seconds."""
    checkpoint_within_seconds: NotNegative = runtime(600.0)
    """Commit one in the middle of an epoch after so many seconds without any: a killed fit loses no more; 0: never. At
    the notice that a node will be taken away one is committed in any case."""


@dataclass(frozen=True, kw_only=True)
class Accumulation(Generic[B]):
    """How micro-batches become a step. The default is one to a step, whose loss is a mean."""

    micro_batches: int = 1
    """Of every step, on every worker."""
    count: Callable[[B], int] | None = None
    """What a micro-batch's loss is the sum over. The step's is all sums by all counts, over workers too, however the
    global batch is divided. None: losses are means, and so is the step's."""
    tokens: Callable[[B], int] | None = None
    """Tokens that a micro-batch makes the model read; None where speed is not shown."""


@dataclass(frozen=True)
class Outcome:
    """How a fit ended. The model holds the best weights."""

    best_score: float
    best: Metrics
    """All metrics of that best validation."""
    best_epoch: int
    epochs: int
    seconds: float
    precision: Precision = "float32"
    """Of the forward passes."""


@dataclass
class FitState:
    """What of a fit goes into its checkpoints, beside the engine's state."""

    counters: dict[str, Any] = field(
        default_factory=lambda: {"epoch": 0, "step": 0, "best_score": None, "best_epoch": 0, "seconds": 0.0}
    )
    best: dict[str, Tensor] = field(default_factory=dict)
    """The best weights so far; on rank 0 alone."""
    written: Checkpoint | None = None
    """What the fit goes on from, until it has."""


def run(worker: Worker, objective: Objective[B], config: Training,
        accumulation: Accumulation[B] | None = None, validate_first: bool = False) -> Outcome:  # fmt: skip
    """Train until the epochs are done or validation no longer improves; leaves the best weights in the model.

    Args:
        validate_first: the weights that it begins with count too, as epoch 0.

    Raises:
        ConfigError: a device's memory is full; says what to lower.
        DataError: the loss is no number.
        ArtifactError: the checkpoint is another model's.
    """
    with naming_the_setting("training", config.zero), repeatable(worker.device):
        adding = accumulation if accumulation is not None else Accumulation[B]()
        return _run(worker, objective, config, adding, validate_first)


def _run(worker: Worker, objective: Objective[B], config: Training, accumulation: Accumulation[B],
         validate_first: bool) -> Outcome:  # fmt: skip
    model = objective.model.to(worker.device)
    operations = operations_of(model)
    progress, written = FitState(), None
    if (directory := worker.resume()) is not None:
        written = Checkpoint(directory)
        progress = FitState(written.counters, written.part(BEST) if worker.rank == 0 else {}, written)
    else:
        for tensor in model.state_dict().values():
            worker.broadcast(tensor)
    descent = _descent(worker, objective, config, accumulation)
    engine = worker.engine(model, descent, written)
    state = progress.counters
    begun, within = time.monotonic() - state["seconds"], Within(worker, config.checkpoint_within_seconds)
    fit = Fit(worker, objective, engine, config, accumulation, operations, progress, begun, within)

    if validate_first and written is None:
        _report(fit, _validate(fit) | {"epoch": 0, "step": 0}, due=False)
    while state["epoch"] < config.epochs and not _exhausted(state, config):
        torch.manual_seed(seed_of(config.seed, state["epoch"], worker.rank))
        shown = _train_epoch(fit)
        state["epoch"] += 1
        if state["epoch"] % config.validate_every == 0 or state["epoch"] == config.epochs:
            shown |= _validate(fit)
        due = _agreed(worker, within.owed or time.monotonic() - within.saved > config.checkpoint_seconds)
        _report(fit, shown | {"epoch": state["epoch"], "step": state["step"]}, due)

    engine.release()
    if state["best_score"] is not None:
        if worker.rank == 0:
            load_weights(model, progress.best, prefix="")
        for tensor in learned(model).values():
            worker.broadcast(tensor.detach())
    return Outcome(
        float(state["best_score"] or 0.0),
        state.get("best", {}),
        state["best_epoch"],
        state["epoch"],
        time.monotonic() - begun,
        "bfloat16" if descent.bfloat16 else "float32",
    )


@dataclass(frozen=True)
class Fit(Generic[B]):
    """All that an epoch needs."""

    worker: Worker
    objective: Objective[B]
    engine: Engine
    config: Training
    accumulation: Accumulation[B]
    operations: int
    """What a token costs the model's matrices."""
    progress: FitState
    begun: float
    """When it would have begun without the breaks, on the monotonic clock."""
    within: Within

    def scale(self, micro_batches: list[B]) -> float | Float[Tensor, ""]:
        """The factor on a step's losses with which their mean over workers adds up to the step's loss."""
        if self.accumulation.count is None:
            return 1.0 / self.accumulation.micro_batches
        counted = float(sum(self.accumulation.count(batch) for batch in micro_batches))
        everywhere = self.worker.all_reduce(torch.tensor(counted, device=self.worker.device))
        return self.worker.size / everywhere.clamp(min=1.0)

    def rate(self, step: int) -> float:
        """The learning rate of a step, by the schedule."""
        total = self.config.epochs * self.objective.steps_per_epoch()
        return self.config.learning_rate * SCHEDULES[self.config.schedule](step, self.config.warmup_steps, total)


def _descent(worker: Worker, objective: Objective[B], config: Training, accumulation: Accumulation[B]) -> Descent:
    return Descent(
        parts=parts_of(objective),
        zero=config.zero,
        bfloat16=is_bfloat16(config.precision, worker.device, width_of(objective.model)),
        weight_decay=config.weight_decay,
        gradient_clip=config.gradient_clip,
        micro_batches=accumulation.micro_batches,
    )


def _train_epoch(fit: Fit[B]) -> dict[str, float]:
    fit.objective.model.train()
    epoch, each, written = fit.progress.counters["epoch"], fit.accumulation.micro_batches, fit.progress.written
    batches = iter(fit.objective.batches(epoch))
    done = resume(fit.worker, written, batches, each, (fit.config.seed, epoch))
    fit.progress.written = None
    sums, steps = dict(done.sums), done.steps
    tokens, begun, due = 0, time.monotonic(), Throttle(PROGRESS_SECONDS)
    while micro_batches := list(itertools.islice(batches, each)):
        where = f"training, step {fit.progress.counters['step']}"
        with naming_the_setting(where, fit.config.zero):
            for name, value in _step(fit, micro_batches):
                sums[name] = sums.get(name, 0.0) + value  # stays on the device until the epoch ends
        fit.progress.counters["step"] += 1
        steps += 1
        if fit.accumulation.tokens is not None:
            tokens += sum(map(fit.accumulation.tokens, micro_batches))
        if fit.worker.rank == 0 and due():
            rate = (steps - done.steps) / max(time.monotonic() - begun, 1e-9)
            far = HowFar("steps", steps, max(steps, fit.objective.steps_per_epoch()), rate)
            running = {"running_loss": float(sums["loss"]) / steps, "step": fit.progress.counters["step"]}
            fit.worker.progress({**running, **far.figures})
        if fit.within.due() and not is_whole(fit.objective):
            _commit(fit, Partial(steps, sums))
    means, tokens_everywhere = _gathered(fit.worker, sums, steps, tokens)
    if not all(math.isfinite(v) for v in means.values()):
        raise DataError(
            f"training, epoch {epoch}: the loss is {means['loss']}; lower the learning rate "
            f"({fit.config.learning_rate}) or look for extreme values in the inputs"
        )
    if fit.accumulation.tokens is None:
        return means
    seconds = time.monotonic() - begun
    peak = peak_of(fit.worker.device)
    return means | throughput(tokens_everywhere, seconds, fit.operations, fit.worker.size, peak)


def _step(fit: Fit[B], micro_batches: list[B]) -> Iterator[tuple[str, Any]]:
    """Take one step; yields what to show of it, the parts of each micro-batch."""
    micro_batches = _explored(fit, micro_batches)
    rate, scale = fit.rate(fit.progress.counters["step"]), fit.scale(micro_batches)
    for batch in micro_batches:
        loss, shown = fit.engine.loss(fit.objective.loss, batch)
        loss = loss * scale
        fit.engine.backward(loss)
        yield "loss", loss.detach()
        for name, value in shown.items():
            yield name, value / len(micro_batches)
    fit.engine.step(rate, shares_of(fit.objective, fit.progress.counters["epoch"]))


@torch.no_grad()
def _explored(fit: Fit[B], micro_batches: list[B]) -> list[B]:
    """The micro-batches of a step with what the model answers, where the objective wants that: all before the step's
    first gradient, so that sharded weights are gathered once."""
    objective = fit.objective
    if not isinstance(objective, Exploring):
        return micro_batches
    learning = objective.model.training
    objective.model.eval()
    with fit.engine.whole():
        found = [objective.rollout(batch) for batch in micro_batches]
    objective.model.train(learning)
    return found


def _gathered(worker: Worker, sums: dict[str, Any], steps: int, tokens: int) -> tuple[dict[str, float], float]:
    """The means of an epoch's steps over workers, and the tokens of all."""
    if worker.size > 1:
        own = [torch.as_tensor(value, device=worker.device).double() for value in (*sums.values(), tokens)]
        *reduced, tokens_everywhere = worker.all_reduce(torch.stack(own)).tolist()
        return {n: v / worker.size / max(1, steps) for n, v in zip(sums, reduced, strict=True)}, tokens_everywhere
    return {name: float(value) / max(1, steps) for name, value in sums.items()}, tokens


@torch.no_grad()
def _validate(fit: Fit[B]) -> dict[str, float]:
    """Validate the present weights, and keep them where they are the best so far."""
    objective, state = fit.objective, fit.progress.counters
    objective.model.eval()
    with fit.engine.whole():
        metrics = {k: float(v) for k, v in objective.validate().items()}
        score = metrics["score"]
        if state["best_score"] is None or _better(score, state["best_score"], objective.higher_is_better):
            state |= {"best_score": score, "best": metrics, "best_epoch": state["epoch"]}
            if fit.worker.rank == 0:
                fit.progress.best = {k: v.to("cpu", copy=True) for k, v in learned(objective.model).items()}
    return {f"valid_{k}": v for k, v in metrics.items()}


def _report(fit: Fit[B], shown: dict[str, float], due: bool) -> None:
    fit.worker.report(shown, _saving(fit, {}, {}) if due else None)
    if due:
        fit.within.restart()


def _commit(fit: Fit[B], partial: Partial) -> None:
    """Commit a checkpoint in the middle of an epoch."""
    tensors, counters = state_of(fit.worker, partial)
    fit.worker.commit(partial.steps, _saving(fit, tensors, {"within": counters}))
    fit.within.restart()


def _saving(fit: Fit[B], tensors: Mapping[str, Tensor], counters: Json) -> Callable[[Path], None]:
    """The function that writes a checkpoint of the fit, these tensors and counters; all workers must call this."""
    fit.progress.counters["seconds"] = time.monotonic() - fit.begun
    best = ((BEST + name, tensor) for name, tensor in fit.progress.best.items())
    if fit.worker.rank:
        deque(fit.engine.state(), maxlen=0)  # it takes all workers to gather what the first one writes
    found = itertools.chain(fit.engine.state(), best, tensors.items())
    return functools.partial(checkpoint.save, tensors=found, counters={**fit.progress.counters, **counters})


def _better(score: float, best: float, higher: bool) -> bool:
    return score > best if higher else score < best


def _exhausted(state: dict[str, Any], config: Training) -> bool:
    waited = (state["epoch"] - state["best_epoch"]) // config.validate_every
    return state["best_score"] is not None and waited >= config.patience


def _agreed(worker: Worker, decision: bool) -> bool:
    """Rank 0's decision, on every worker."""
    flag = torch.tensor([float(decision)], device=worker.device)
    return bool(worker.broadcast(flag).item())
