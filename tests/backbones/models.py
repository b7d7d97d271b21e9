"""Tiny random language models, saved as a user would have them, and every backbone's settings for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from unisid.backbones import BackboneConfig, Index
from unisid.config import plug_in

FAMILIES: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
SPECIAL = ["<|end|>", "<|turn|>", "<|begin|>", "<|endoftext|>"]
NUM_WORDS = len(SPECIAL) + 256
CHAT = (
    "{% for message in messages %}<|turn|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def language_model(
    folder: Path,
    family: str = "qwen2",
    *,
    tied: bool = True,
    padding: int = 0,
    chat: bool = True,
    context: int = 2048,
    seed: int = 0,
) -> Path:
    """A model of two layers whose words are bytes; its embedding may have more rows than its tokenizer entries."""
    settings, kind = FAMILIES[family]
    torch.manual_seed(seed)
    model = kind(
        settings(
            vocab_size=NUM_WORDS + padding,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=context,
            tie_word_embeddings=tied,
            bos_token_id=2,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    with torch.no_grad():  # larger than at initialisation, so that attention attends to something
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)
    model.generation_config.temperature, model.generation_config.do_sample = 0.7, True
    model.save_pretrained(folder)
    tokenizer(chat).save_pretrained(folder)
    return folder


def tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """Bytes; texts begin with a token of their own, and turns may have a template."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *letters])}
    backend = Tokenizer(models.BPE(vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 2)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|begin|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=["<|turn|>"],
    )
    if chat:
        made.chat_template = CHAT
    return made


def settings(kind: str, folder: Path) -> BackboneConfig:
    """A backbone's settings for tests: its defaults, on a tiny language model where it needs one."""
    config = plug_in("backbones", kind)
    if kind == "parallel":
        return config(decode="graph")
    if kind == "eager":
        return config(first_width=3)
    if "content" in config.__dataclass_fields__:
        return config(content=(), dense=False)
    return config(model=str(language_model(folder))) if "model" in config.__dataclass_fields__ else config()


def index_of(sizes: tuple[int, ...], num_items: int = 30, seed: int = 0) -> Index:
    """An index of random items, with random vectors."""
    whole = int(np.prod(sizes))
    chosen = np.random.default_rng(seed).permutation(whole)[: min(num_items, whole)]
    vectors = np.random.default_rng(seed + 1).normal(size=(len(chosen), 7)).astype(np.float32)
    return Index.of(np.stack(np.unravel_index(chosen, sizes), 1), sizes, {"fused": vectors})


def halved_index(sizes: tuple[int, ...] = (6, 5, 5, 6), seed: int = 0) -> Index:
    """An index of as many items as either half of its levels can name, each of which names all of them."""
    half, rng = len(sizes) // 2, np.random.default_rng(seed)
    halves = [
        np.stack(np.unravel_index(rng.permutation(int(np.prod(own))), own), 1) for own in (sizes[:half], sizes[half:])
    ]
    vectors = rng.normal(size=(len(halves[0]), 7)).astype(np.float32)
    return Index.of(np.concatenate(halves, 1), sizes, {"fused": vectors})
