"""A fit goes on from the middle of an epoch as if nothing had been; notices and time decide when it is saved there."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.figures import of_epochs
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.errors import DataError
from unisid.runtime.checkpoints import Checkpoints, Position
from unisid.runtime.local import LocalCompute, Member
from unisid.training import within
from unisid.training.loop import Accumulation, Training, run
from unisid.training.within import Within

STEPS, EACH = 5, 2
TRAINING = Training(epochs=4, learning_rate=0.1, checkpoint_seconds=1e9, checkpoint_within_seconds=1e-9)


@dataclass(frozen=True)
class Task:
    training: Training = TRAINING
    dies_at: tuple[int, int] = (99, 0)
    """Epoch and micro-batch before which it dies."""
    dropout: float = 0.3
    whole_epochs: bool = False


class Line:
    """Fits y = 2x + 1 with dropout on the input: eight points a micro-batch, two of them a step, five steps."""

    higher_is_better = False

    def __init__(self, worker: Any, task: Task) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(task.dropout), nn.Linear(1, 1))
        self.worker, self.task, self.whole_epochs = worker, task, task.whole_epochs

    def steps_per_epoch(self):
        return STEPS

    def batches(self, epoch):
        for number in range(STEPS * EACH):
            if (epoch, number) == self.task.dies_at:
                self.worker.all_reduce(torch.zeros(1))  # once the first has written its checkpoint, all die
                raise DataError("killed")
            x = torch.randn(8, 1, generator=torch.Generator().manual_seed(epoch * 100 + number))
            yield x[self.worker.rank :: self.worker.size]

    def loss(self, x):
        value = (self.model(x) - (2 * x + 1)).square().mean()
        return value, {"half": value.detach() / 2, "count": float(len(x))}

    def validate(self):
        x = torch.linspace(-1, 1, 9).unsqueeze(1)
        return {"score": float((self.model(x) - (2 * x + 1)).square().mean())}


def train(worker, task):
    within.LOOK_SECONDS = 0.0  # a worker is a process of its own: it looks after every step
    objective = Line(worker, task)
    run(worker, objective, task.training, Accumulation(micro_batches=EACH))
    return {name: value.tolist() for name, value in objective.model.state_dict().items()}


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    monkeypatch.setattr(within, "LOOK_SECONDS", 0.0)


def fit(folder, task, workers=1):
    shown = []
    pool = Pool(workers=workers)
    found = LocalCompute().fit(train, task, name="line", pool=pool, work=Place.of(folder), report=shown.append)
    return found, of_epochs(shown)


@pytest.mark.parametrize("dies_at", [(0, 4), (2, 7)])
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_equals_an_undisturbed_one(tmp_path, workers, dies_at):
    """Weights, dropout and the means that are shown of the epoch, bit for bit."""
    undisturbed, shown = fit(tmp_path / "a", Task(), workers)
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path / "b", Task(dies_at=dies_at), workers)
    assert Checkpoints(Place.of(tmp_path / "b"), "line").last() == Position(dies_at[0], dies_at[1] // EACH)
    resumed, again = fit(tmp_path / "b", Task(), workers)
    assert resumed == undisturbed
    assert again == shown[dies_at[0] :]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_it_goes_on_with_another_number_of_workers(tmp_path, before, after):
    """Nearly the same numbers, where nothing is drawn."""
    undisturbed, shown = fit(tmp_path / "a", Task(dropout=0.0))
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path / "b", Task(dropout=0.0, dies_at=(2, 7)), before)
    resumed, again = fit(tmp_path / "b", Task(dropout=0.0), after)
    for name, value in undisturbed.items():
        torch.testing.assert_close(torch.tensor(resumed[name]), torch.tensor(value))
    assert again[0]["loss"] == pytest.approx(shown[2]["loss"], rel=1e-5)


def test_another_number_of_workers_draws_anew_from_the_seed(tmp_path):
    """With dropout it is another fit from there on, but one that can be repeated."""
    for name in "ab":
        with pytest.raises(DataError, match="killed"):
            fit(tmp_path / name, Task(dies_at=(1, 5)), workers=2)
    assert fit(tmp_path / "a", Task()) == fit(tmp_path / "b", Task())


def test_what_no_checkpoint_holds_is_saved_between_epochs_alone(tmp_path):
    task = Task(dies_at=(2, 7), whole_epochs=True)
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path, task)
    assert Checkpoints(Place.of(tmp_path), "line").last() is None
    frequent = Training(epochs=4, learning_rate=0.1, checkpoint_seconds=0.0, checkpoint_within_seconds=1e-9)
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path, Task(training=frequent, dies_at=(2, 7), whole_epochs=True))
    assert Checkpoints(Place.of(tmp_path), "line").last() == Position(2)


SELDOM = Training(epochs=4, learning_rate=0.1, checkpoint_seconds=1e9, checkpoint_within_seconds=0.0)


def notice(monkeypatch, after):
    """From the n-th time that it is looked for, a notice is there."""
    looks = []

    def is_preempted(member):
        looks.append(True)
        return len(looks) > after

    monkeypatch.setattr(Member, "is_preempted", is_preempted)
    monkeypatch.setattr(within, "NOTICE_SECONDS", 0.0)


@pytest.mark.parametrize(("whole_epochs", "position"), [(False, Position(1, 3)), (True, Position(2))])
def test_a_notice_is_answered(tmp_path, monkeypatch, whole_epochs, position):
    """At once, or at the epoch's end where nothing can be saved before."""
    monkeypatch.setattr(within, "AGAIN_SECONDS", 1e9)
    notice(monkeypatch, after=STEPS + 2)
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path, Task(training=SELDOM, dies_at=(3, 1), whole_epochs=whole_epochs))
    assert Checkpoints(Place.of(tmp_path), "line").last() == position


def test_until_its_machine_is_gone_a_fit_is_saved_again(tmp_path, monkeypatch):
    monkeypatch.setattr(within, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(within, "SHARE", 0.0)
    notice(monkeypatch, after=STEPS + 2)
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path, Task(training=SELDOM, dies_at=(3, 2)))
    assert Checkpoints(Place.of(tmp_path), "line").last() == Position(3, 1)


def test_saving_takes_a_tenth_of_the_time_that_is_left(monkeypatch):
    """Steps of 10 ms, a checkpoint of 2 s, a notice from the beginning."""
    now, worker = [0.0], Watched()
    monkeypatch.setattr(worker, "is_preempted", lambda: True, raising=False)
    monkeypatch.setattr(within, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    found, saved = Within(worker), []
    while now[0] < 60:
        now[0] += 0.01
        if found.due():
            saved.append(now[0])
            now[0] += 2.0
            found.restart()
    assert saved[0] <= within.NOTICE_SECONDS + 1.1
    assert np.diff(saved) == pytest.approx(20.0, abs=1.1)


def test_without_a_notice_and_before_the_time_nothing_is_saved(tmp_path):
    with pytest.raises(DataError, match="killed"):
        fit(tmp_path, Task(training=SELDOM, dies_at=(3, 1)))
    assert Checkpoints(Place.of(tmp_path), "line").last() is None


@dataclass
class Watched:
    """A worker that counts what is sent to all."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sent: int = 0

    def broadcast(self, tensor):
        self.sent += 1
        return tensor

    def is_preempted(self):
        return False


def test_it_is_decided_about_once_a_second_however_fast_steps_are(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(within, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    worker = Watched()
    found = Within(worker, seconds=20.0)
    due = []
    for step in range(6000):  # a minute of steps of 10 ms
        now[0] += 0.01
        if found.due():
            due.append(step)
            found.restart()
    assert 50 <= worker.sent <= 62
    assert len(due) == 2  # after 20 s and a little, and again
