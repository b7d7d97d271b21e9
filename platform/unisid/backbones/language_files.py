"""What lies beside a trained language model's weights, so that the library loads them with no line of ours."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.initialization import no_init_weights

from unisid.backbones import causal_forward
from unisid.backbones.chat import Frame
from unisid.backbones.pretrained import Language
from unisid.errors import ArtifactError

FRAME = "frame.json"


def files(model: Any, tokenizer: Any, frame: Frame) -> dict[str, bytes]:
    """The settings of model, generation and tokenizer, and the frame."""
    with tempfile.TemporaryDirectory() as folder:
        model.config.architectures = [type(model).__name__]
        model.config.dtype = next(model.parameters()).dtype
        model.config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()} | {FRAME: frame.to_json()}


def read(files: Mapping[str, bytes], dtype: torch.dtype, attention: str) -> tuple[Language, Frame]:
    """The inverse of `files`, but for the weights, which are whatever the memory held.

    Raises:
        ArtifactError: something is missing or damaged.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            settings = AutoConfig.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        with no_init_weights():
            model = AutoModelForCausalLM.from_config(settings, dtype=dtype, attn_implementation=attention)
        model.tie_weights()
        causal_forward.check(model)
        return Language(model, tokenizer), Frame.from_json(files[FRAME])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"model: what lies beside its weights is not whole ({error}); make it anew") from None
