"""Training state in a directory: tensors as safetensors, the rest as JSON. Nothing is a pickle.

The optimizer's state is flattened to names `optimizer.<parameter number>.<slot>`.
"""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from unisid.errors import ArtifactError

TENSORS, STATE = "tensors.safetensors", "state.json"


def save(directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer, best: dict[str, Tensor],
         state: dict[str, Any]) -> None:  # fmt: skip
    """Write everything that is needed to go on: weights, optimizer slots, the best weights so far, counters."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    scalars = {}
    for number, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            key = f"optimizer.{number}.{slot}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                scalars[key] = value
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    safetensors.torch.save_file(plain, directory / TENSORS)
    (directory / STATE).write_text(json.dumps({"state": state, "slots": scalars}))


def load(
    directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The inverse of `save`: fills the model and the optimizer; returns the best weights and the counters."""
    try:
        tensors = safetensors.torch.load_file(directory / TENSORS)
        body = json.loads((directory / STATE).read_text())
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ArtifactError(f"{directory}: is not a whole checkpoint ({error}); delete it to start anew") from None
    model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
    slots: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *body["slots"].items()]:
        if key.startswith("optimizer."):
            _, number, slot = key.split(".", 2)
            slots.setdefault(int(number), {})[slot] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    best = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
    return best, body["state"]
