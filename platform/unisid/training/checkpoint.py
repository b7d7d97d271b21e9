"""Training state in a directory: whole tensors as safetensors, the rest as JSON. Nothing is a pickle.

Tensors are written as they come, in files of limited size, so that no more than one such file is ever held in memory;
and read one by one, so that each worker takes of them what it needs. They are whole, not one worker's shards: a fit
goes on with another engine or another number of workers.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from torch import Tensor

from unisid.errors import ArtifactError

COUNTERS = "state.json"
FILE_BYTES = 1 << 30
"""Tensors that are held in memory until they are written."""


def save(directory: Path, tensors: Iterable[tuple[str, Tensor]], counters: Mapping[str, Any]) -> None:
    """Write everything that is needed to go on."""
    held: dict[str, Tensor] = {}
    files = waiting = 0
    for name, tensor in tensors:
        held[name] = tensor.detach().to("cpu", copy=True).contiguous()
        waiting += held[name].nbytes
        if waiting >= FILE_BYTES:
            safetensors.torch.save_file(held, directory / f"tensors-{files:05d}.safetensors")
            held, files, waiting = {}, files + 1, 0
    safetensors.torch.save_file(held, directory / f"tensors-{files:05d}.safetensors")
    (directory / COUNTERS).write_text(json.dumps(dict(counters)))


class Checkpoint(Mapping[str, Tensor]):
    """A written state: its counters, and its tensors by name, each read on access."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files: dict[str, Path] = {}
        with self._whole():
            self.counters: dict[str, Any] = json.loads((directory / COUNTERS).read_text())
            for file in sorted(directory.glob("tensors-*.safetensors")):
                with safe_open(file, "pt") as opened:
                    self.files |= dict.fromkeys(opened.keys(), file)

    def __getitem__(self, name: str) -> Shaped[Tensor, "..."]:
        file = self.files[name]
        with self._whole(), safe_open(file, "pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, without it."""
        return {name.removeprefix(prefix): self[name] for name in self if name.startswith(prefix)}

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, SafetensorError) as error:
            raise ArtifactError(
                f"{self.directory}: is not a whole checkpoint ({error}); delete it to start anew"
            ) from None
