"""Slow, obvious twins: one text at a time through a model, one token at a time into a vector."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer


def states_one_by_one(folder: Path, texts: list[str], max_tokens: int) -> list[Tensor]:
    """The last hidden states [n_i, D] of every text, alone in its batch: there is no padding to get wrong."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", use_safetensors=True).eval()
    with torch.no_grad():
        return [
            model(**tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")).last_hidden_state[0]
            for text in texts
        ]


def pool(states: list[Tensor], pooling: str) -> Tensor:
    """One vector a text."""
    vectors = []
    for text in states:
        total = torch.zeros(text.shape[1])
        for state in text:
            total = total + state
        vectors.append(text[-1] if pooling == "last" else total / len(text))
    return torch.stack(vectors)
