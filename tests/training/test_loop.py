"""The loop: a resumed fit equals an undisturbed one, workers equal one, the best weights win."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from tests.figures import of_epochs
from tests.training import toy_language
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.progress import HowFar
from unisid.runtime.local import LocalCompute
from unisid.training import checkpoint
from unisid.training.loop import Training, run


@dataclass(frozen=True)
class Task:
    training: Training
    fail_after: int = 99
    explode: bool = False
    dropout: float = 0.1


class Line:
    """Fits y = 2x + 1 with dropout on the input, eight points a batch, four batches an epoch."""

    higher_is_better = False

    def __init__(self, worker: Any, task: Task) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Dropout(task.dropout), nn.Linear(1, 1))
        self.worker, self.task = worker, task

    def steps_per_epoch(self):
        return 4

    def batches(self, epoch):
        if epoch >= self.task.fail_after:
            raise RuntimeError("killed")
        for step in range(4):
            x = torch.randn(8, 1, generator=torch.Generator().manual_seed(epoch * 4 + step))
            yield x[self.worker.rank :: self.worker.size]

    def loss(self, x):
        value = (self.model(x) - (2 * x + 1)).square().mean()
        return value * (float("inf") if self.task.explode else 1.0), {}

    def validate(self):
        x = torch.linspace(-1, 1, 9).unsqueeze(1)
        return {"score": float((self.model(x) - (2 * x + 1)).square().mean())}


def train(worker, task):
    objective = Line(worker, task)
    outcome = run(worker, objective, task.training)
    return {k: v.tolist() for k, v in objective.model.state_dict().items()}, outcome.epochs, outcome.best_score


def fit(tmp_path, task, workers=1):
    return LocalCompute().fit(train, task, name="line", pool=Pool(workers=workers), work=Place.of(tmp_path))


TRAINING = Training(epochs=6, learning_rate=0.1, checkpoint_seconds=0.0, warmup_steps=2)


def test_a_long_epoch_says_how_far_it_is_and_changes_nothing(tmp_path, monkeypatch):
    quiet = fit(tmp_path / "quiet", Task(TRAINING))
    monkeypatch.setattr("unisid.training.loop.PROGRESS_SECONDS", -1.0)
    told = []
    pool, work = Pool(), Place.of(tmp_path / "told")
    assert LocalCompute().fit(train, Task(TRAINING), name="line", pool=pool, work=work, report=told.append) == quiet
    running = [(values["step"], values["running_loss"]) for values in told if "running_loss" in values]
    assert [step for step, _ in running] == list(range(1, 25))
    far = [HowFar.all_in(values) for values in told if "running_loss" in values]
    assert [(found.name, found.done, found.total) for [found] in far] == [("steps", n, 4) for n in (1, 2, 3, 4)] * 6
    assert all(found.rate > 0 for [found] in far)
    epochs = of_epochs(told)
    assert [loss for step, loss in running if step % 4 == 0] == pytest.approx([values["loss"] for values in epochs])


def test_it_learns(tmp_path):
    weights, epochs, score = fit(tmp_path, Task(Training(epochs=60, learning_rate=0.1)))
    assert epochs <= 60
    assert score < 0.05
    assert weights["1.weight"][0][0] == pytest.approx(2.0, abs=0.2)


def test_a_resumed_fit_equals_an_undisturbed_one(tmp_path):
    undisturbed = fit(tmp_path / "a", Task(TRAINING))
    with pytest.raises(RuntimeError, match="killed"):
        fit(tmp_path / "b", Task(TRAINING, fail_after=3))
    resumed = fit(tmp_path / "b", Task(TRAINING))
    assert resumed == undisturbed
    assert fit(tmp_path / "b", Task(TRAINING)) == undisturbed, "a finished fit is not trained again"


@pytest.mark.slow
def test_two_and_eight_workers_equal_one(tmp_path):
    one, *several = (fit(tmp_path / str(n), Task(TRAINING, dropout=0.0), workers=n) for n in (1, 2, 8))
    for many in several:
        for name, value in one[0].items():
            torch.testing.assert_close(torch.tensor(value), torch.tensor(many[0][name]))


def test_early_stopping_keeps_the_best(tmp_path):
    training = Training(epochs=50, patience=2, learning_rate=5.0, schedule="constant", gradient_clip=0.0)
    _, epochs, score = fit(tmp_path, Task(training))
    assert epochs < 50
    assert score >= 0.0


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    with pytest.raises(DataError, match="the loss is (inf|nan); lower the learning rate"):
        fit(tmp_path, Task(TRAINING, explode=True))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="training.epochs: is 0; must be at least 1"):
        Training(epochs=0)
    with pytest.raises(ConfigError, match="pool.workers: is -1; must be at least 0"):
        Pool(workers=-1)


def test_a_full_memory_names_the_setting_to_lower(tmp_path):
    task = toy_language.Task(TRAINING, full_at=1)
    with pytest.raises(
        ConfigError,
        match=r"training, step 3: the memory is full \(CUDA out of memory. Tried to "
        r"allocate 2.00 GiB.\); lower micro_batch .*training.zero.*gradient_checkpointing",
    ):
        LocalCompute().fit(toy_language.train, task, name="full", pool=Pool(), work=Place.of(tmp_path))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="killed"):
        fit(tmp_path, Task(TRAINING, fail_after=3))
    (file,) = tmp_path.rglob("tensors-*.safetensors")
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match="is not a whole checkpoint"):
        fit(tmp_path, Task(TRAINING))
    file.unlink()
    with pytest.raises(ArtifactError, match="is missing; it is another model's"):
        fit(tmp_path, Task(TRAINING))


def test_large_states_are_cut_into_files(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FILE_BYTES", 100)
    tensors = {f"t{n}": torch.arange(20.0) + n for n in range(5)} | {"flag": torch.tensor(True)}
    checkpoint.save(tmp_path, tensors.items(), {"epoch": 3})
    assert len(list(tmp_path.glob("tensors-*"))) > 2
    read = checkpoint.Checkpoint(tmp_path)
    assert read.counters == {"epoch": 3}
    assert set(read) == set(tensors)
    assert len(read) == 6
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
