"""What a step's loss costs by the size of the catalogue: the softmax over all items, over a sample, and over the trie.

python -m benchmarks.losses

Every loss is of the same positions and the same width, forward and backward, in a process of its own that counts its
CPU seconds and its memory beyond what it held before: the items' own vectors and their gradient are in it. A step is
the loss and AdamW's update. The trie has codes alone. The slope is that of log seconds over log items, 1 where cost
grows with them.
"""

import json
import math
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unisid.backbones import Index
from unisid.backbones.hierarchical import Config
from unisid.backbones.hierarchical.states import States
from unisid.layers.dense import SAMPLED, softmax_loss
from unisid.layers.history import Seen

ITEMS = (10**4, 10**5, 10**6)
CODES = 256
"""Of each of the trie's three levels."""
WIDTH, POSITIONS, HISTORY = 64, 512, 10
RUNS = 2
"""Of which the fastest counts, after one that does not."""


def main() -> dict[str, Any]:
    """Seconds and memory by loss and size, and the slopes."""
    result: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "positions": POSITIONS,
        "width": WIDTH,
        "sampled_items": SAMPLED,
    }
    for name in LOSSES:
        found = [_alone(name, items) for items in ITEMS]
        result[name] = {f"items_{items}": each for items, each in zip(ITEMS, found, strict=True)}
        for figure in ("loss_cpu_seconds", "step_cpu_seconds"):
            result[name][f"slope_of_{figure}"] = round(_slope([each[figure] for each in found]), 2)
    return result


def _slope(seconds: list[float]) -> float:
    """Of the straight line nearest to the logarithms."""
    x, y = ([math.log(value) for value in values] for values in (ITEMS, seconds))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return across / sum((a - mean_x) ** 2 for a in x)


def _alone(name: str, items: int) -> dict[str, float]:
    """Measured in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, name, items).result()


def measured(name: str, items: int) -> dict[str, float]:
    """CPU seconds of the loss and of a whole step, and the most memory beyond what was held before."""
    torch.manual_seed(0)
    seen = Seen(torch.randint(items, (POSITIONS, HISTORY)))
    states, targets = torch.randn(POSITIONS, WIDTH, requires_grad=True), torch.randint(items, (POSITIONS,))
    index = Index.of(_codes(items), (CODES,) * 3) if name == "trie" else None
    before = _memory("VmRSS")
    _forget()
    module, loss = LOSSES[name](index, items, seen, states, targets)
    optimizer = torch.optim.AdamW(module.parameters())
    losses, steps = [], []
    for _ in range(1 + RUNS):
        begun = time.process_time()
        loss().backward()
        middle = time.process_time()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(middle - begun)
        steps.append(time.process_time() - begun)
    return {
        "loss_cpu_seconds": round(min(losses[1:]), 4),
        "step_cpu_seconds": round(min(steps[1:]), 4),
        "memory_mib": round(_memory("VmHWM") - before, 1),
    }


def _memory(of: str) -> float:
    """What this process holds (VmRSS), or the most that it held since `_forget` (VmHWM), in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(of))


def _forget() -> None:
    """Let the most that this process held begin with what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def _codes(items: int) -> Any:
    """Random semantic ids, each once."""
    drawn = torch.randperm(CODES**3)[:items]
    return torch.stack([drawn // CODES**2, drawn // CODES % CODES, drawn % CODES], 1).numpy()


Made = tuple[nn.Module, Callable[[], Tensor]]


def _dense(size: int | None) -> Callable[..., Made]:
    def make(index: Index | None, items: int, seen: Seen, states: Tensor, targets: Tensor) -> Made:
        own, added = nn.Embedding(items, WIDTH), torch.zeros(POSITIONS, HISTORY)
        counts = 1.0 / torch.arange(1, items + 1)
        return own, lambda: softmax_loss(states, own, seen, added, targets, counts, size or items)

    return make


def _trie(index: Index | None, items: int, seen: Seen, states: Tensor, targets: Tensor) -> Made:
    assert index is not None
    model = Config(width=WIDTH, content=(), dense=False, memory=None).build(index)
    return model, lambda: -model.path_log_probs(States(states, None, seen), targets, index).sum()


LOSSES: dict[str, Callable[..., Made]] = {"all_items": _dense(None), "sampled": _dense(SAMPLED), "trie": _trie}

if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
