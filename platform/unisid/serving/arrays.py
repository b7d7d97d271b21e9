"""What a pair holds that grows with its catalogue, as named arrays: made once, in memory or in mapped files.

N items, L levels, U users, E interactions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import nn

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.vectors import item_vectors
from unisid.backbones import Index
from unisid.baselines.popularity import count_users
from unisid.decoding import trie
from unisid.serving.mapped import Arrays
from unisid.serving.strings import Numbers, Strings, numbered

CATALOG = ("item_ids", "titles", "user_ids", "item", "offsets")
"""Columns of the catalogue that requests read."""
TRIE, VECTORS = "trie-", "vectors-"
"""What the names of the trie's arrays begin with, and those of item vectors."""
LARGE = 1 << 16
"""Bytes of a backbone's tensor from which on it is shared."""


@dataclass(frozen=True)
class Contents:
    """The arrays of an index and its catalogue, in the forms that requests read."""

    codes: Codes
    catalog: Catalog
    index: Index
    item_ids: Strings
    titles: Strings
    item_of: Numbers
    user_of: Numbers
    popular: tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]
    """All items by how many users took them in training, most first (among equals the lower number), and the
    logarithm of each one's share, every item counted once more so that none is 0."""

    @classmethod
    def of(cls, codes: Codes, catalog: Catalog, arrays: Arrays) -> "Contents":
        """Over the arrays of `made`, which are used as they are."""
        read = codes.with_arrays(arrays["codes"], arrays["order"])
        shop = catalog.with_columns(**{name: arrays[name] for name in CATALOG})
        ids, titles, users = Strings(shop.item_ids), Strings(shop.titles), Strings(shop.user_ids)
        index = Index(
            torch.from_numpy(read.codes),
            read.sizes,
            trie.Trie.of({name: torch.from_numpy(values) for name, values in _named(arrays, TRIE)}),
            {noun: torch.from_numpy(values) for noun, values in _named(arrays, VECTORS)},
            titles if read.extends else (),
        )
        item_of, user_of = (
            Numbers(texts, arrays[f"{name}-starts"], arrays[f"{name}-rows"])
            for name, texts in (("item_of", ids), ("user_of", users))
        )
        return cls(read, shop, index, ids, titles, item_of, user_of, (arrays["popular"], arrays["popularity"]))


def made(codes: Codes, catalog: Catalog, vectors: Mapping[str, Place], nouns: tuple[str, ...]) -> Arrays:
    """The arrays of an index, its catalogue and the item vectors of some nouns."""
    held = np.array(codes.codes, np.int32)
    found: Arrays = {"codes": held, "order": codes.order} | {name: getattr(catalog, name) for name in CATALOG}
    built = trie.build(torch.from_numpy(held))
    found |= {f"{TRIE}{name}": values.numpy() for name, values in built.arrays().items()}
    found |= {f"{VECTORS}{noun}": values for noun, values in item_vectors(vectors, nouns).items()}
    for name, texts in (("item_of", catalog.item_ids), ("user_of", catalog.user_ids)):
        found[f"{name}-starts"], found[f"{name}-rows"] = numbered(Strings(texts))
    counts = count_users(catalog).numpy().astype(np.float64) + 1
    found["popular"] = np.argsort(-counts, kind="stable")
    found["popularity"] = np.log(counts / counts.sum())[found["popular"]].astype(np.float32)
    return found


def identity(codes: Codes, catalog: Catalog, vectors: Mapping[str, Place], nouns: tuple[str, ...]) -> list[Any]:
    """The values that identify the arrays of `made`."""
    held = [content_of(vectors[noun], require(vectors[noun], noun)) for noun in nouns if noun in vectors]
    return [content_of(codes.place, codes.record), content_of(catalog.place, catalog.record), *held]


def content_of(place: Place, record: Record) -> list[Any]:
    """The values that identify an artifact's bytes: those of one fingerprint may differ by machine."""
    if record.sums:
        return [record.fingerprint, sorted(record.sums.items())]
    return [record.fingerprint, place.uri, [[name, *(place.stamp(name) or ())] for name in place.sizes()]]


def tensors(backbone: nn.Module) -> dict[str, torch.Tensor]:
    """The large tensors of a backbone that lie in this machine's memory, by name."""
    every = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    return {
        name: values.data
        for name, values in every.items()
        if values.device.type == "cpu" and values.layout == torch.strided
        if values.is_contiguous() and values.nbytes >= LARGE
    }


def raw(backbone: nn.Module) -> Arrays:
    """The bytes of `tensors`, numbered: names may hold what file names may not."""
    return {str(number): _bytes(values).numpy() for number, values in enumerate(tensors(backbone).values())}


def replace_equal(backbone: nn.Module, arrays: Arrays) -> int:
    """Replace each large tensor by the array of `raw` where it holds the same bytes; returns the bytes replaced."""
    replaced, every = 0, {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    for number, (name, values) in enumerate(tensors(backbone).items()):
        held = torch.from_numpy(arrays[str(number)]) if str(number) in arrays else None
        if held is not None and torch.equal(held, _bytes(values)):
            every[name].data = held.view(values.dtype).view(values.shape)
            replaced += values.nbytes
    return replaced


def _bytes(values: Shaped[torch.Tensor, "*s"]) -> Shaped[torch.Tensor, " bytes"]:
    return values.flatten().view(torch.uint8)


def _named(arrays: Arrays, before: str) -> list[tuple[str, Shaped[np.ndarray, "..."]]]:
    return [(name.removeprefix(before), values) for name, values in arrays.items() if name.startswith(before)]
