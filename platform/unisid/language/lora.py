"""LoRA: small trained matrices beside frozen ones, and how they become one again (Hu et al. 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unisid.bounds import Positive, Settings, ShareBelowOne, Width
from unisid.errors import ConfigError

NAME = "default"


@dataclass(frozen=True, kw_only=True)
class Lora(Settings):
    """W + alpha / rank B A, of which A and B learn."""

    rank: Width = 16
    """Rows of A, columns of B."""
    alpha: Positive = 32.0
    """How much the product counts: alpha / rank times."""
    dropout: ShareBelowOne = 0.05
    """Share of A's inputs that training zeroes."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the linear layers, in every block, that are given a pair."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.targets:
            raise ConfigError("lora.targets: names no layer; must name one or more")

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def inject(model: Any, lora: Lora) -> None:
    """Give the model's layers their pairs; nothing else of it learns from here on."""
    layers = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if unknown := sorted(set(lora.targets) - layers):
        raise ConfigError(
            f"lora.targets: the model has no linear layer '{unknown[0]}'; must be among {', '.join(sorted(layers))}"
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ConfigError('lora: needs the package peft; install "unisid[llm]"') from None
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(lora.targets)
    )
    inject_adapter_in_model(settings, model, adapter_name=NAME)


def merged(weights: dict[str, Tensor], lora: Lora) -> dict[str, Tensor]:
    """A model's weights with the pairs added into what they stand beside, under its names without LoRA."""
    whole = {}
    for name, tensor in weights.items():
        if ".lora_" in name:
            continue
        stem, is_base, kind = name.partition(".base_layer.")
        if is_base and kind == "weight":
            down, up = (weights[f"{stem}.lora_{side}.{NAME}.weight"].float() for side in "AB")
            tensor = (tensor.float() + lora.scale * (up @ down)).to(tensor.dtype)
        whole[f"{stem}.{kind}" if is_base else name] = tensor
    return whole


def unmerged(weights: dict[str, Tensor], held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `merged`: weights under the names of a model whose state is `held`, beside pairs that add nothing.

    Without pairs in `held` the weights stay as they are.
    """
    names = {name.replace(".base_layer.", "."): name for name in held if ".base_layer." in name}
    pairs = {n: torch.zeros_like(t) if ".lora_B." in n else t for n, t in held.items() if ".lora_" in n}
    return {names.get(name, name): tensor for name, tensor in weights.items()} | pairs
