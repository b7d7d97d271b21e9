"""What lies beside a trained language model's weights, so that the library loads them with no line of ours."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.initialization import no_init_weights

from unisid.decoding import causal
from unisid.errors import ArtifactError
from unisid.language.chat import Frame
from unisid.language.loading import Language
from unisid.ops.prompts import Prompts

FRAME, PROMPTS = "frame.json", "prompts.json"


def files(model: Any, tokenizer: Any, frame: Frame, prompts: Prompts) -> dict[str, bytes]:
    """The settings of model, generation and tokenizer, the frame, and what the model is asked with."""
    with tempfile.TemporaryDirectory() as folder:
        model.config.architectures = [type(model).__name__]
        model.config.dtype = next(model.parameters()).dtype
        model.config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        library = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return library | {FRAME: frame.to_json(), PROMPTS: prompts.to_json()}


def read(files: Mapping[str, bytes], dtype: torch.dtype, attention: str) -> tuple[Language, Frame, Prompts]:
    """The inverse of `files`, but for the weights, which are whatever the memory held. A model that was saved before
    prompts were is asked in our own wording, as it was taught.

    Raises:
        ArtifactError: something is missing or damaged, or names code that would have to be run.
    """
    refuse_code(files)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            settings = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        with no_init_weights():
            model = AutoModelForCausalLM.from_config(
                settings, dtype=dtype, attn_implementation=attention, trust_remote_code=False
            )
        model.tie_weights()
        causal.check(model)
        prompts = Prompts.from_json(files[PROMPTS]) if PROMPTS in files else Prompts()
        return Language(model, tokenizer), Frame.from_json(files[FRAME]), prompts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"model: what lies beside its weights is not whole ({error}); make it anew") from None


def refuse_code(files: Mapping[str, bytes]) -> None:
    """Raise ArtifactError where a model's files name code of their own: no code that comes with a model is ever run."""
    again = "take this artifact from where it was made, or make it anew"
    for name, data in files.items():
        if name.endswith(".json") and _maps_code(_parsed(name, data)):
            raise ArtifactError(f"model: {name} names code to run (auto_map), of which unisid runs none; {again}")
    for name in files:
        if name != Path(name).name or name.endswith((".py", ".pyc", ".so")):
            raise ArtifactError(f"model: the file '{name}' is none that a model of unisid has; {again}")


def _parsed(name: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"model: what lies beside its weights is not whole ({name}: {error}); make it anew"
        ) from None


def _maps_code(value: Any) -> bool:
    """Whether auto_map is a key somewhere, and not a word with its number in a vocabulary."""
    if isinstance(value, dict):
        return any(_maps_code(v) or (k == "auto_map" and not isinstance(v, int)) for k, v in value.items())
    return isinstance(value, list) and any(map(_maps_code, value))
