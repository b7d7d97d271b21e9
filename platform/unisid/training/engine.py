"""The plain engine: each worker holds all weights and steps with AdamW on the mean of all workers' gradients.

Gradients are averaged by hand after the last backward pass of a step, in one flat all-reduce. What learns is float32
while it does, whatever its type before and after: in bfloat16 a small update would be lost. `runtime.deepspeed` is the
other engine, for models whose training fits no single device.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from unisid.compute import Descent
from unisid.errors import ArtifactError
from unisid.precision import Precision, autocast

B = TypeVar("B")
T = TypeVar("T")
MODEL = "model."
"""What names of weights and buffers begin with in a state."""


class Peers(Protocol):
    """What an engine needs of a `Worker`."""

    size: int
    device: torch.device

    def all_reduce(self, tensor: Num[Tensor, "*s"]) -> Num[Tensor, "*s"]:
        """The sum over workers, in place."""
        ...


class PlainEngine:
    """Whole weights everywhere."""

    def __init__(self, worker: Peers, model: nn.Module, descent: Descent, state: Mapping[str, Tensor] | None) -> None:
        self.worker, self.model, self.descent = worker, model, descent
        self.parts = in_parts(trained(model), descent.parts)
        self.owned = {name: weight for part in self.parts for name, weight in part.items()}
        parameters = list(self.owned.values())
        self.types = [parameter.dtype for parameter in parameters]
        for parameter in parameters:
            parameter.data = parameter.data.float()
        half = descent.bfloat16 or any(p.dtype == torch.bfloat16 for p in model.parameters())  # frozen ones stay so
        self.precision: Precision = "bfloat16" if half else "float32"
        groups = [{"params": list(part.values())} for part in self.parts]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=descent.weight_decay, fused=True)
        if state is not None:
            load_weights(model, state)
            slots = {n: slots_of(state, name) for n, name in enumerate(self.owned)}
            groups = self.optimizer.state_dict()["param_groups"]
            known = {n: found for n, found in slots.items() if found}
            self.optimizer.load_state_dict({"state": known, "param_groups": groups})

    def loss(self, measure: Callable[[B], T], batch: B) -> T:
        with self.whole():
            return measure(batch)

    def backward(self, loss: Float[Tensor, ""]) -> None:
        loss.backward()

    def step(self, rate: float, shares: Sequence[float] = (1.0,)) -> None:
        parameters: list[nn.Parameter] = []
        for group, part, share in zip(self.optimizer.param_groups, self.parts, shares, strict=True):
            group["lr"] = rate * share
            parameters += part.values() if share else ()
            for weight in () if share else part.values():
                weight.grad = None  # what has none is not stepped
        average_gradients(self.worker, parameters)
        if self.descent.gradient_clip:
            torch.nn.utils.clip_grad_norm_(parameters, self.descent.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def whole(self) -> contextlib.AbstractContextManager[object]:
        return autocast(self.precision, self.worker.device)

    def state(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in learned(self.model).items():
            yield MODEL + name, tensor.detach()
        for name, parameter in self.owned.items():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                yield f"{slot}.{name}", value

    def release(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        for parameter, dtype in zip(self.owned.values(), self.types, strict=True):
            parameter.data = parameter.data.to(dtype)


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that take gradients, by name; a tied one once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def in_parts(weights: Mapping[str, nn.Parameter], parts: Sequence[str]) -> list[dict[str, nn.Parameter]]:
    """Weights by the first of `parts` that their names begin with."""
    found: list[dict[str, nn.Parameter]] = [{} for _ in parts]
    for name, weight in weights.items():
        found[next(number for number, part in enumerate(parts) if name.startswith(part))][name] = weight
    return found


def kept_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the model's state, by name."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in kept}


def learned(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes: trained weights and kept buffers, by name."""
    return {**trained(model), **kept_buffers(model)}


@torch.no_grad()
def load_weights(model: nn.Module, state: Mapping[str, Tensor], prefix: str = MODEL) -> None:
    """Fill what is learned of a model from a state.

    Raises:
        ArtifactError: where the state is another model's.
    """
    for name, tensor in learned(model).items():
        value = state.get(prefix + name)
        if value is None or value.shape != tensor.shape:
            found = "is missing" if value is None else f"has shape {tuple(value.shape)}, not {tuple(tensor.shape)}"
            raise ArtifactError(f"checkpoint: '{name}' {found}; it is another model's: delete it to start anew")
        tensor.copy_(value)


def slots_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """AdamW's values for one weight, by slot; nothing where it has never stepped."""
    values = {slot: state.get(f"{slot}.{name}") for slot in ("step", "exp_avg", "exp_avg_sq")}
    return {slot: value for slot, value in values.items() if value is not None}


def average_gradients(worker: Peers, parameters: Sequence[Float[Tensor, "..."]]) -> None:
    """Replace every gradient by its mean over workers, with one flat all-reduce."""
    if worker.size == 1:
        return
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = worker.all_reduce(torch.cat([g.reshape(-1) for g in gradients])) / worker.size
    for parameter, piece in zip(parameters, flat.split([g.numel() for g in gradients]), strict=True):
        parameter.grad = piece.view_as(parameter).clone()
