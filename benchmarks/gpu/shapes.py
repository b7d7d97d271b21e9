"""The models of a run: at the sizes of the thesis and of the hub, or tiny ones for a dry run. Weights are random."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3Model


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large everything is."""

    uqf_width: int = 1024
    uqf_queries: int = 16
    uqf_layers: int = 4
    states: int = 2560
    """Width of a token's state: Qwen3-Embedding-4B."""
    tokens: int = 64
    batch: int = 512
    """Items of a UQF step."""
    nodes: int = 2_000_000
    edges: int = 10_000_000
    graph_width: int = 256
    graph_layers: int = 5
    graph_batch: int = 1 << 20
    """Edges of a step: `graph.batch_edges` of the recipe `production`."""
    items: int = 1_000_000
    """Of the trie's step and of the recommender over items."""
    codes: int = 256
    """Of each of three levels."""
    rqvae_batch: int = 8192
    languages: tuple[str, ...] = ("0.5B", "3B")
    train_tokens: int = 16_384
    """Of a step of training."""
    context: int = 1_000
    beams: tuple[int, ...] = (50, 256)
    texts: tuple[int, ...] = (64, 256)
    """Tokens of the texts that are embedded."""
    embedded: int = 65_536
    """Tokens embedded at once."""
    histories: int = 256
    """Samples of a step of the recommender over items."""


FULL = Size()
TINY = Size(
    uqf_width=32,
    uqf_queries=4,
    uqf_layers=1,
    states=48,
    tokens=8,
    batch=8,
    nodes=300,
    edges=1_000,
    graph_width=16,
    graph_layers=2,
    graph_batch=256,
    items=400,
    codes=8,
    rqvae_batch=32,
    languages=("tiny",),
    train_tokens=128,
    context=40,
    beams=(5,),
    texts=(8,),
    embedded=64,
    histories=8,
)
LANGUAGES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 32, "intermediate_size": 48, "layers": 2, "heads": 4, "kv": 2, "vocabulary": 300},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "layers": 24, "heads": 14, "kv": 2, "vocabulary": 151_936},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "layers": 28, "heads": 12, "kv": 2, "vocabulary": 151_936},
    "3B": {"hidden_size": 2048, "intermediate_size": 11008, "layers": 36, "heads": 16, "kv": 2, "vocabulary": 151_936},
}
"""Qwen2.5 by size."""


def language(name: str, device: torch.device, dtype: torch.dtype, added: int = 768) -> Any:
    """A causal model of Qwen2.5's shape with rows for semantic ids."""
    shape = LANGUAGES[name]
    config = Qwen2Config(
        vocab_size=shape["vocabulary"] + added,
        hidden_size=shape["hidden_size"],
        intermediate_size=shape["intermediate_size"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv"],
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    config._attn_implementation = "sdpa"
    with torch.device(device):
        return Qwen2ForCausalLM(config).to(dtype)


def encoder(tiny: bool, device: torch.device, dtype: torch.dtype) -> Any:
    """A model of Qwen3-Embedding-0.6B's shape."""
    sizes = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16}
    if tiny:
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    kv = 2 if tiny else 8
    config = Qwen3Config(vocab_size=151_669, head_dim=8 if tiny else 128, num_key_value_heads=kv, **sizes)
    config._attn_implementation = "sdpa"
    with torch.device(device):
        return Qwen3Model(config).to(dtype).eval()
