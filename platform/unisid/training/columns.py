"""Training by columns: each worker owns some columns of every row, and gradients are never exchanged.

It holds wherever a column of the result depends on that column of the parameter alone, and the loss on dot products
of rows: those are summed over workers, after which every worker has the same loss and runs backward alone.
Checkpoints hold whole columns, so that a fit may go on with another number of workers. V rows, w columns of a worker.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unisid.compute import Worker
from unisid.errors import ArtifactError

STATE = "state.json"
BLOCK_BYTES = 1 << 26


def owned(width: int, rank: int, size: int) -> range:
    """The columns of one of `size` workers: they differ by one at most."""
    return range(width * rank // size, width * (rank + 1) // size)


class Total(torch.autograd.Function):
    """Partial sums of all workers, added up. The loss is everyone's own, so its gradient passes as it is."""

    @staticmethod
    def forward(ctx: Any, partial: Float[Tensor, "*s"], worker: Worker) -> Float[Tensor, "*s"]:
        return worker.all_reduce(partial.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "*s"]) -> tuple[Float[Tensor, "*s"], None]:
        return gradient, None


def join(worker: Worker, part: Float[Tensor, "*V w"], width: int) -> Float[Tensor, "*V {width}"]:
    """Every worker's columns side by side, on every worker."""
    if worker.size == 1:
        return part
    shares = [len(owned(width, rank, worker.size)) for rank in range(worker.size)]
    padded = part.new_zeros(1, *part.shape[:-1], max(shares))
    padded[0, ..., : part.shape[-1]] = part
    return torch.cat([piece[..., :w] for piece, w in zip(worker.all_gather(padded), shares, strict=True)], -1)


def saving(
    worker: Worker, tensors: Mapping[str, Float[Tensor, "V w"]], state: Mapping[str, Any], width: int
) -> Callable[[Path], None]:
    """The function that `worker.report(save=...)` takes. All workers must call this: rows are gathered block by block.

    Rank 0 holds no more than a block of whole rows in memory, whatever V is; the rest waits in a temporary folder.
    """
    draft = Path(tempfile.mkdtemp(prefix="unisid-columns-")) if worker.rank == 0 else None
    rows = max(1, BLOCK_BYTES // (4 * width))
    for name, tensor in tensors.items():
        out = None
        if draft is not None:
            shape = (tensor.shape[0], width)
            out = np.lib.format.open_memmap(draft / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, tensor.shape[0], rows):
            whole = join(worker, tensor[start : start + rows].to(worker.device), width)
            if out is not None:
                out[start : start + rows] = whole.cpu().numpy()
        if out is not None:
            out.flush()

    def save(directory: Path) -> None:
        assert draft is not None
        for file in draft.iterdir():
            shutil.move(file, directory / file.name)
        (directory / STATE).write_text(json.dumps(dict(state)))
        draft.rmdir()

    return save


def load(directory: Path, tensors: Mapping[str, Float[Tensor, "V w"]], columns: range) -> dict[str, Any]:
    """Fill this worker's columns of the named tensors, in place; returns the counters."""
    try:
        for name, tensor in tensors.items():
            whole = np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            tensor.copy_(torch.from_numpy(np.array(whole[:, columns.start : columns.stop])))
        state: dict[str, Any] = json.loads((directory / STATE).read_text())
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"{directory}: is not a whole checkpoint ({error}); delete it to start anew") from None
    return state
