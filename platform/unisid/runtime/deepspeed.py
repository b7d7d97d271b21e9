"""DeepSpeed's ZeRO as an engine: workers share out the optimizer's state, gradients and weights among themselves.

Its JSON is derived from the settings, AdamW is torch's, so nothing is compiled, and the process group is the one that
stands. A state is gathered tensor by tensor through DeepSpeed's public functions: it is the plain engine's, in whole
tensors of float32, and bound to no number of workers.
"""

import contextlib
import functools
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from unisid.compute import Descent
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.precision import autocast
from unisid.training.engine import MODEL, Peers, kept_buffers, load_weights, slots_of, trained

B = TypeVar("B")
T = TypeVar("T")
BUCKET = 1 << 26
"""Elements that travel at once: 128 MiB of bfloat16. DeepSpeed's own default takes 1 GB for it."""
KEPT_WHOLE = 10_000
"""ZeRO 3 leaves smaller weights (norms, biases) whole on every worker: to gather them would cost more than they do."""
MOMENTS = ("exp_avg", "exp_avg_sq")


def settings(descent: Descent, workers: int) -> Json:
    """The JSON that DeepSpeed wants. A micro-batch counts as one sample: its content is up to the objective."""
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": descent.micro_batches,
        "train_batch_size": descent.micro_batches * workers,
        "gradient_clipping": descent.gradient_clip,
        "bf16": {"enabled": descent.bfloat16},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": {
            "stage": descent.zero,
            "reduce_bucket_size": BUCKET,
            "allgather_bucket_size": BUCKET,
            "stage3_prefetch_bucket_size": BUCKET,
            "stage3_param_persistence_threshold": KEPT_WHOLE,
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": None,
    }


class Measure(nn.Module):
    """The model as DeepSpeed wants it: a module whose forward pass is the loss."""

    def __init__(self, model: nn.Module, cast: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        super().__init__()
        self.model, self.cast = model, cast

    def forward(self, measure: Callable[[B], T], batch: B) -> T:
        with self.cast():
            return measure(batch)


class ZeroEngine:
    """ZeRO 1, 2 or 3."""

    def __init__(self, worker: Peers, model: nn.Module, descent: Descent, state: Mapping[str, Tensor] | None) -> None:
        if descent.parts != Descent().parts:
            raise ConfigError(
                f"training.zero: is {descent.zero}, and parts of this model learn at rates of their own, "
                "which is not built for ZeRO; must be 0"
            )
        self.deepspeed = _package(worker.device)
        self.worker, self.model, self.descent = worker, model, descent
        self.types = {name: parameter.dtype for name, parameter in model.named_parameters()}
        # DeepSpeed casts frozen parameters to bfloat16; keep a copy to restore on release.
        self.resting = {n: p.detach().to("cpu", copy=True) for n, p in model.named_parameters() if not p.requires_grad}
        self.owned = trained(model)
        self.waiting = False
        if state is not None:
            load_weights(model, state)
        self.optimizer = torch.optim.AdamW(self.owned.values(), weight_decay=descent.weight_decay, fused=True)
        # Weights are of bfloat16 already; inputs may not be, and norms and softmaxes are better off in float32.
        self.cast = functools.partial(autocast, "bfloat16" if descent.bfloat16 else "float32", worker.device)
        self.measure = Measure(model, self.cast)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how much memory there is
            self.engine, *_ = self.deepspeed.initialize(
                model=self.measure,
                optimizer=self.optimizer,
                config=settings(descent, worker.size),
                dist_init_required=False,  # the process group stands
            )
        if state is not None:
            self._go_on(state)

    def loss(self, measure: Callable[[B], T], batch: B) -> T:
        measured: T = self.engine(measure, batch)
        return measured

    def backward(self, loss: Tensor) -> None:
        if self.waiting:
            self.engine.step()  # counts a micro-batch; the last one's updates
        self.engine.backward(loss, scale_wrt_gas=False)
        self.waiting = True

    def step(self, rate: float, shares: Sequence[float] = (1.0,)) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.engine.step()
        self.waiting = False

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.cast())
            if self.descent.zero == 3:
                stack.enter_context(self.deepspeed.zero.unwrap_model_for_generation(self.engine))
            yield

    @torch.no_grad()
    def state(self) -> Iterator[tuple[str, Tensor]]:
        read = self.deepspeed.utils
        for name, buffer in kept_buffers(self.model).items():
            yield MODEL + name, buffer
        steps = [slots["step"] for slots in self.optimizer.state.values() if "step" in slots]
        for name, parameter in self.owned.items():
            yield MODEL + name, read.safe_get_full_fp32_param(parameter)
            for slot in MOMENTS if steps else ():
                yield f"{slot}.{name}", read.safe_get_full_optimizer_state(parameter, slot)
            if steps:
                yield f"step.{name}", steps[0]

    @torch.no_grad()
    def release(self) -> None:
        with self.whole():
            # By way of the host: the devices need not hold the weights twice.
            values = {n: p.detach().to("cpu", self.types[n], copy=True) for n, p in self.model.named_parameters()}
        values |= self.resting
        self.engine.destroy()
        del self.measure.model, self.engine, self.optimizer  # DeepSpeed remembers the module; the model shall go free
        device = self.worker.device
        fresh = {id(p): nn.Parameter(values[n].to(device), p.requires_grad) for n, p in self.model.named_parameters()}
        for module in self.model.modules():
            module._parameters = {n: p if p is None else fresh[id(p)] for n, p in module._parameters.items()}

    def _go_on(self, state: Mapping[str, Tensor]) -> None:
        """Fill the float32 weights and the optimizer's state, each worker its part of every whole tensor."""
        write = self.deepspeed.utils
        slots = {name: slots_of(state, name) for name in self.owned}
        steps = [float(found["step"]) for found in slots.values() if "step" in found]
        if steps:
            self._create_state()
        for name, parameter in self.owned.items():
            write.safe_set_full_fp32_param(parameter, state[MODEL + name].to(self.worker.device))
            for slot in MOMENTS if steps else ():
                value = slots[name].get(slot, torch.zeros_like(state[MODEL + name]))
                write.safe_set_full_optimizer_state(parameter, value.to(self.worker.device), slot)
        for values in self.optimizer.state.values():
            values["step"].fill_(max(steps))

    def _create_state(self) -> None:
        """Let AdamW make its state, which it does in its first step: one of no gradient, at a rate of 0, is none."""
        for _ in range(self.descent.micro_batches):
            nothing = torch.zeros((), device=self.worker.device)
            with self._at_hand():
                for parameter in self.owned.values():
                    nothing = nothing + (parameter * 0.0).sum()
                self.backward(nothing)
        self.step(0.0)

    def _at_hand(self) -> contextlib.AbstractContextManager[object]:
        """All weights gathered, with DeepSpeed's hooks in place."""
        gathered: contextlib.AbstractContextManager[object] = self.deepspeed.zero.GatheredParameters(
            list(self.owned.values()), enabled=self.descent.zero == 3
        )
        return gathered


def _package(device: torch.device) -> Any:
    """DeepSpeed, with this worker's device set in the environment.

    Raises:
        ConfigError: where it is not installed.
    """
    os.environ |= {"DS_ACCELERATOR": device.type, "LOCAL_RANK": str(device.index or 0)}
    try:
        import deepspeed
        import deepspeed.ops
    except ImportError as error:
        raise ConfigError(
            f"training.zero: needs the package deepspeed ({error}); install unisid[llm], or set it to 0 "
            "for models that fit one device"
        ) from None
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", r"`torch\.distributed\.", FutureWarning)  # of names that DeepSpeed still uses
    accelerator = deepspeed.get_accelerator().device_name()
    if accelerator != device.type:
        raise ConfigError(
            f"training.zero: DeepSpeed works on '{accelerator}' in this process, the fit on "
            f"'{device.type}'; run one of them in a process of its own"
        )
    if device.type == "cpu":
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled; gloo does without
    return deepspeed
