"""Tiny random models, saved as a user would have them: config.json, model.safetensors, tokenizer."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

WORDS = [
    "red",
    "blue",
    "green",
    "small",
    "large",
    "old",
    "new",
    "table",
    "chair",
    "lamp",
    "desk",
    "ink",
    "paper",
    "pen",
    "printer",
    "shelf",
    "box",
    "of",
    "for",
    "with",
    "and",
    "unknown",
    "item",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[EOS]"]
VOCABULARY = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}


def tiny_qwen3(folder: Path, seed: int = 0) -> Path:
    """A decoder: the text, then an end token."""
    settings = Qwen3Config(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
    )
    torch.manual_seed(seed)
    _spread(Qwen3Model(settings)).save_pretrained(folder)
    _tokenizer("$A [EOS]").save_pretrained(folder)
    return folder


def tiny_bert(folder: Path, seed: int = 0) -> Path:
    """An encoder: the text between two special tokens."""
    settings = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    torch.manual_seed(seed)
    _spread(BertModel(settings)).save_pretrained(folder)
    _tokenizer("[CLS] $A [SEP]").save_pretrained(folder)
    return folder


def _spread(model: torch.nn.Module) -> torch.nn.Module:
    """Larger weights than at initialisation, so that attention attends to something."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(10)
    return model


def _tokenizer(template: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(word, VOCABULARY[word]) for word in SPECIAL]
    backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def tiny_roberta(folder: Path, kind: str = "roberta", positions: int = 20) -> Path:
    """A model whose positions begin behind the padding token's, of RoBERTa's kin."""
    sizes = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "max_position_embeddings": positions,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **sizes), trust_remote_code=False)
    model.save_pretrained(folder)
    _tokenizer("[CLS] $A [SEP]").save_pretrained(folder)
    return folder
