"""A pretrained causal language model and its tokenizer: loaded, and refused where it cannot serve."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from unisid.decoding import causal
from unisid.errors import ConfigError
from unisid.pretrained import Pretrained


@dataclass(frozen=True)
class Language:
    """A language model and the tokenizer that it was trained with."""

    model: Any
    tokenizer: Any


def load(found: Pretrained, dtype: torch.dtype, attention: str) -> Language:
    """Weights and tokenizer; a GGUF's quantised weights become plain ones.

    Raises:
        ConfigError: they cannot be had, are of another family, the tokenizer is not a fast one, or the kernel of
            `attention` is missing.
    """
    logging.disable_progress_bar()
    settings = found.load(AutoConfig.from_pretrained)
    if settings.model_type not in causal.FAMILIES:
        raise ConfigError(f"{found}: its type is '{settings.model_type}'; must be one of {', '.join(causal.FAMILIES)}")
    _check_kernel(settings, attention)
    tokenizer = found.load(AutoTokenizer.from_pretrained)
    if not tokenizer.is_fast:
        raise ConfigError(f"{found}: has no tokenizer.json and none can be made of what it has; give a model that has")
    options = {"dtype": dtype, "attn_implementation": attention, "use_safetensors": True}
    model = found.load(AutoModelForCausalLM.from_pretrained, **options)
    causal.check(model)
    return Language(plain(model), tokenizer)


def _check_kernel(settings: Any, attention: str) -> None:
    """Before any weight is read: a model on the meta device uses the same kernel."""
    try:
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(settings, attn_implementation=attention, trust_remote_code=False)
    except ImportError as error:
        why = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"lcrec: attention '{attention}' cannot be used here ({why}); install its package, or set attention to sdpa"
        ) from None


def plain(model: Any) -> Any:
    """The model without the traces of how it was stored: its weights are quantised no longer."""
    for trace in ("hf_quantizer", "quantization_method", "is_quantized"):
        vars(model).pop(trace, None)
    vars(model.config).pop("quantization_config", None)
    model.config.name_or_path = ""
    model.config.use_cache = False
    return model
