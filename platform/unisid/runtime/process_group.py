"""The collectives and the streams of a `Worker`, over torch.distributed; with one process they are nothing at all."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import torch
import torch.distributed as dist
from torch import Tensor, nn

from unisid.compute import Descent, Engine, Pool, Stream
from unisid.runtime.streams import pieces, read_piece
from unisid.training.engine import PlainEngine


class Gather(torch.autograd.Function):
    """Join every worker's rows; the gradient of a row is the sum of its gradients from all workers' losses."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, tensor: Tensor) -> Tensor:
        pieces = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(pieces, tensor.contiguous())
        return torch.cat(pieces)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed.chunk(dist.get_world_size())[dist.get_rank()]


class Collectives:
    """The part of `Worker` that all runtimes share."""

    def __init__(self, pool: Pool, streams: Mapping[str, Stream]) -> None:
        active = dist.is_initialized()
        self.rank = dist.get_rank() if active else 0
        self.size = dist.get_world_size() if active else 1
        self.device = pool.device()
        self.streams = streams
        torch.set_num_threads(max(1, int(pool.cpus)))

    def all_reduce(self, tensor: Tensor) -> Tensor:
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        gathered: Tensor = Gather.apply(tensor) if self.size > 1 else tensor
        return gathered

    def broadcast(self, tensor: Tensor) -> Tensor:
        if self.size > 1:
            dist.broadcast(tensor, 0)
        return tensor

    def engine(self, model: nn.Module, descent: Descent, state: Mapping[str, Tensor] | None = None) -> Engine:
        """The plain engine, or DeepSpeed's. A single worker always uses the plain one."""
        if descent.zero == 0 or self.size == 1:
            return PlainEngine(self, model, descent, state)
        from unisid.runtime.deepspeed import ZeroEngine  # an extra that few installations have

        return ZeroEngine(self, model, descent, state)

    def stream(self, name: str) -> Iterator[pa.Table]:
        """This worker's share, row group by row group."""
        source = self.streams[name]
        for piece in pieces(source, self.rank, self.size):
            yield read_piece(source, piece)
