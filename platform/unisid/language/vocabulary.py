"""New words for a language model: entries after those that its tokenizer has, and the rows they begin with.

Rows are made by functions of a table of old rows, one for the embedding and, where it is not tied, one for the head.
V old entries, M new entries, D width, n texts, L new entries that a text stands for.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from tokenizers import AddedToken
from torch import Tensor, nn
from torch.nn import functional

from unisid.errors import ConfigError

LIBRARY_SHARE = 1e-9
"""Of the old rows' covariance, in the rows that transformers 4.46 and later draw by default."""


def add(model: Any, tokenizer: Any, words: Sequence[str], whose: str) -> int:
    """Give the tokenizer new words and the model a row for each; returns the first one's entry.

    The words follow each other from the tokenizer's first free entry on, and nothing follows them: rows by which the
    embedding was padded beyond its tokenizer are overwritten or cut off, so that none of them can ever be predicted.

    Raises:
        ConfigError: the tokenizer has such a word already, or the model has fewer rows than the tokenizer entries.
    """
    known = tokenizer.get_vocab()
    for word in words:
        if word in known:
            raise ConfigError(
                f"{whose}: its tokenizer already has '{word}' (entry {known[word]}); give a model that "
                "has not learned semantic ids, or whose words are others"
            )
    first, rows = max(known.values()) + 1, model.get_input_embeddings().num_embeddings
    if rows < first:
        raise ConfigError(
            f"{whose}: its tokenizer has {first} entries, but the model {rows} rows; they are not of one model"
        )
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in words])
    given = tokenizer.convert_tokens_to_ids(list(words))
    if given != list(range(first, first + len(words))):
        raise ConfigError(
            f"{whose}: its tokenizer gave new words the entries {given[0]}, ..., not {first} and on; "
            "its own are not numbered one by one"
        )
    model.resize_token_embeddings(first + len(words), mean_resizing=False)
    return first


def is_tied(model: Any) -> bool:
    """Whether the head is the embedding turned round."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if isinstance(embedding, SplitEmbedding):
        return embedding.new is head.new
    return embedding.weight is head.weight


def rows(model: Any, first: int) -> list[tuple[Tensor, Tensor]]:
    """The rows before entry `first` [V, D] and from it on [M, D], to read and to write: the embedding's, and the head's
    where it has its own."""
    found = []
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        is_split = isinstance(layer, SplitEmbedding | SplitHead)
        found.append((layer.old, layer.new) if is_split else (layer.weight[:first], layer.weight[first:]))
    return found[:1] if is_tied(model) else found


def draw(old: Float[Tensor, "V D"], count: int, share: float = 1.0) -> Float[Tensor, "M D"]:
    """Rows drawn from the normal distribution of the old rows' mean and a share of their covariance, by torch's global
    seed."""
    mean = old.mean(0, dtype=torch.float32)
    covariance = torch.zeros(old.shape[1], old.shape[1], device=old.device)
    for rows in old.split(1 << 14):
        centred = rows.float() - mean
        covariance += centred.T @ centred
    variances, axes = torch.linalg.eigh((covariance / len(old)).double())
    drawn = torch.randn(count, old.shape[1]).to(old.device, torch.float64) * variances.clamp_min(0).sqrt()
    return (mean + share**0.5 * (drawn @ axes.T).float()).to(old.dtype)


def as_library(old: Float[Tensor, "V D"], new: Float[Tensor, "M D"], padded: int) -> Float[Tensor, "M D"]:
    """Rows as the transformers library gives them: the mean row, with noise of `LIBRARY_SHARE` of the covariance; but
    those that fall on the table's old padding keep what lay there, which no training has touched.

    Args:
        padded: how many of the new rows lay in the table before.
    """
    drawn = draw(torch.cat([old, new[:padded]]), len(new) - padded, LIBRARY_SHARE)
    return torch.cat([new[:padded], drawn])


def mean_of_texts(
    old: Float[Tensor, "V D"],
    new: Float[Tensor, "M D"],
    texts: Iterable[Sequence[int]],
    stands_for: Int[Tensor, "n L"],
) -> Float[Tensor, "M D"]:
    """Each new row as the mean, over the texts that it stands for, of the mean row of the text's entries.

    Args:
        new: rows that stay where no text stands.
        texts: n texts in old entries; those of none count for nothing.
        stands_for: which of the M new entries each text stands for.
    """
    sums = torch.zeros(new.shape, device=new.device)
    counts = torch.zeros(len(new), device=new.device)
    rest = iter(texts)
    for some in stands_for.to(new.device).split(1 << 13):
        entries = list(itertools.islice(rest, len(some)))
        lengths = torch.tensor([len(text) for text in entries])
        flat = torch.tensor([entry for text in entries for entry in text], dtype=torch.long, device=new.device)
        starts = (lengths.cumsum(0) - lengths).to(new.device)
        means = functional.embedding_bag(flat, old, starts, mode="mean").float()
        has_words = (lengths > 0).float().to(new.device)
        for level in some.T:
            sums.index_add_(0, level, means * has_words[:, None])
            counts.index_add_(0, level, has_words)
    return torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], new.float()).to(new.dtype)


def as_long(old: Float[Tensor, "V D"], new: Float[Tensor, "M D"], found: Float[Tensor, "M D"]) -> Float[Tensor, "M D"]:
    """Rows that differ from the new ones, made as long as the old rows' median; the others as they are."""
    lengths = old.float().norm(dim=1)
    changed = (found != new).any(1)
    scaled = functional.normalize(found.float(), dim=1) * lengths.median()
    return torch.where(changed[:, None], scaled.to(found.dtype), found)


class SplitEmbedding(nn.Module):
    """Embedding with frozen pretrained rows and trainable new rows."""

    def __init__(self, old: nn.Parameter, new: nn.Parameter) -> None:
        super().__init__()
        self.old, self.new = old, new

    def forward(self, ids: Int[Tensor, "*rows"]) -> Float[Tensor, "*rows D"]:
        first = len(self.old)
        added = functional.embedding((ids - first).clamp_min(0), self.new)
        return torch.where((ids >= first)[..., None], added, functional.embedding(ids.clamp_max(first - 1), self.old))


class SplitHead(nn.Module):
    """Output head with frozen pretrained rows and trainable new rows."""

    def __init__(self, old: nn.Parameter, new: nn.Parameter) -> None:
        super().__init__()
        self.old, self.new = old, new

    def forward(self, hidden: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows V"]:
        return torch.cat([functional.linear(hidden, self.old), functional.linear(hidden, self.new)], -1)


def split(model: Any, first: int) -> None:
    """Freeze all of a model but its rows from `first` on, which become parameters of their own."""
    halves = [
        (nn.Parameter(old.detach().clone(), requires_grad=False), nn.Parameter(new.detach().clone()))
        for old, new in rows(model, first)
    ]
    model.requires_grad_(False)
    model.model.embed_tokens = SplitEmbedding(*halves[0])
    model.lm_head = SplitHead(*halves[-1])


def joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A split model's weights under the names of a whole one's."""
    whole = {name: tensor for name, tensor in weights.items() if not name.endswith((".old", ".new"))}
    for name, old in weights.items():
        if name.endswith(".old"):
            stem = name.removesuffix(".old")
            whole[f"{stem}.weight"] = torch.cat([old, weights[f"{stem}.new"]])
    return whole


def parted(weights: dict[str, Tensor], held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `joined`: weights under the names of a split model whose state is `held`; a whole one's stay."""
    found = dict(weights)
    for name, old in held.items():
        if name.endswith(".old"):
            stem = name.removesuffix(".old")
            both = found.pop(f"{stem}.weight")
            found[name], found[f"{stem}.new"] = both[: len(old)], both[len(old) :]
    return found
