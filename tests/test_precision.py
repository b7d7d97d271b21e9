"""bfloat16 is taken where the processor has it and the matrices are wide, and costs no quality there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from unisid import precision
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.precision import CPU_WIDTH, autocast, is_bfloat16, processor_has_bfloat16, width_of
from unisid.runtime.local import LocalCompute
from unisid.training.loop import Training, run

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SEEDS = range(4)


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Makes this machine's processor one of these flags; None: no file says anything."""

    def pretend(flags: str | None) -> None:
        file = tmp_path / "cpuinfo"
        if flags is not None:
            file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse\nbogomips\t: 1\n")
        monkeypatch.setattr(precision, "PROCESSOR", file)
        processor_has_bfloat16.cache_clear()

    yield pretend
    processor_has_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("amx_bf16 amx_tile", True),
        ("avx512_bf16", True),
        ("avx512f avx512bw amx_int8", False),
        ("", False),
        (None, False),
    ],
)
def test_the_processor_is_asked(processor, flags, has):
    processor(flags)
    assert processor_has_bfloat16() is has
    assert is_bfloat16("auto", CPU, CPU_WIDTH) is has


@pytest.mark.parametrize("width", [0, CPU_WIDTH - 1, CPU_WIDTH, 4096])
def test_narrow_matrices_stay_in_float32(processor, width):
    processor("amx_bf16")
    assert is_bfloat16("auto", CPU, width) is (width >= CPU_WIDTH)
    assert is_bfloat16("auto", GPU, width)
    for device in (CPU, GPU):
        assert is_bfloat16("bfloat16", device, width)
        assert not is_bfloat16("float32", device, width)


def test_autocast_follows(processor):
    processor("avx512_bf16")
    wide, row = nn.Linear(CPU_WIDTH, CPU_WIDTH), torch.randn(2, CPU_WIDTH)
    for given, expected in ((CPU_WIDTH, torch.bfloat16), (0, torch.float32)):
        with autocast("auto", CPU, given):
            assert wide(row).dtype == expected


def test_the_width_is_that_of_most_of_the_work():
    assert width_of(nn.Linear(300, 200)) == 200
    assert width_of(nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 8))) == 512
    assert width_of(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 256), nn.Embedding(10_000, 256))) == 64
    assert width_of(nn.Embedding(10, 512)) == width_of(nn.Sequential()) == 0


@dataclass(frozen=True)
class Task:
    seed: int
    training: Training


class Mixture:
    """Which of eight noisy directions a vector shows, by a net of width 128."""

    higher_is_better = True

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.directions = torch.randn(8, CPU_WIDTH)
        self.model = nn.Sequential(nn.Linear(CPU_WIDTH, CPU_WIDTH), nn.GELU(), nn.Linear(CPU_WIDTH, 8))
        self.held_out = self.drawn(10_000 + seed, 2000)

    def drawn(self, seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = torch.Generator().manual_seed(seed)
        which = torch.randint(8, (count,), generator=random)
        return self.directions[which] + 5 * torch.randn(count, CPU_WIDTH, generator=random), which

    def steps_per_epoch(self) -> int:
        return 12

    def batches(self, epoch: int):
        return (self.drawn(epoch * 12 + step, 64) for step in range(12))

    def loss(self, batch):
        return nn.functional.cross_entropy(self.model(batch[0]).float(), batch[1]), {}

    def validate(self):
        rows, which = self.held_out
        return {"score": float((self.model(rows).argmax(1) == which).float().mean())}


def learned(worker: Any, task: Task) -> tuple[float, str]:
    outcome = run(worker, Mixture(task.seed), task.training)
    return outcome.best_score, outcome.precision


def test_quality_does_not_fall(place, processor):
    """Over paired seeds the mean difference is within two standard errors of nothing, or bfloat16 is better."""
    processor("amx_bf16")
    found: dict[str, list[float]] = {"auto": [], "float32": []}
    for name, scores in found.items():
        for seed in SEEDS:
            task = Task(seed, Training(epochs=5, learning_rate=3e-3, precision=name))  # type: ignore[arg-type]
            score, was = fit(place / f"{name}-{seed}", task)
            assert was == ("bfloat16" if name == "auto" else "float32")
            scores.append(score)
    difference = np.subtract(found["auto"], found["float32"])
    assert np.mean(found["float32"]) > 0.5  # by chance an eighth
    assert difference.mean() >= -max(0.005, 2 * difference.std(ddof=1) / len(SEEDS) ** 0.5)


def fit(place: Place, task: Task) -> tuple[float, str]:
    found: tuple[float, str] = LocalCompute().fit(learned, task, name="t", pool=Pool(workers=0), work=place)
    return found


def test_on_this_processor_the_products_are_near_those_of_float32():
    torch.manual_seed(0)
    left, right = torch.randn(64, 256), torch.randn(256, 64)
    with torch.autocast("cpu", torch.bfloat16):
        half = left @ right
    assert half.dtype == torch.bfloat16
    assert ((half.float() - left @ right).norm() / (left @ right).norm()) < 0.01
