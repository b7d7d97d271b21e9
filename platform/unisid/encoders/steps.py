"""Item vectors from the steps of training sequences: a modality beside text and graph that says what lies near what.

It reads no text: the "token" of an item is its number in the catalogue, from 1. An item that no training step leads to
or from has the zero vector, as one whose modality is missing; so have the new items of an index that is extended,
whose vectors would otherwise be of other axes than the published ones.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.store import Place
from unisid.bounds import Width
from unisid.config import runtime
from unisid.encoders import Encoder, EncoderConfig, Tokenizer
from unisid.encoders.vectors import Lookup, Rows
from unisid.ops.spectral import step_vectors


@dataclass(frozen=True, kw_only=True)
class Config(EncoderConfig):
    """How many numbers an item has."""

    reads: ClassVar[Literal["text", "item_id"]] = "item_id"

    width: Width = 128
    """Eigenvectors that are kept; those beyond the catalogue's size are zero."""
    catalog: str = runtime("")
    """Where the catalogue lies whose training steps are read; the stage fills it in. Left out: no item is known."""

    def of(self, catalog: Place) -> "Config":
        return replace(self, catalog=catalog.uri)

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        ids = self._read().item_ids if self.catalog else pa.array([], pa.string())
        return Rows(pa.chunked_array([ids.cast(pa.string())]))

    def build(self, device: torch.device) -> Encoder:
        if not self.catalog:
            return Lookup(np.zeros((0, self.width), np.float32), device)
        read = self._read()
        rows = read.split == TRAIN
        items, users = read.item[rows].astype(np.int64), read.user[rows].astype(np.int64)
        each = None if read.weight is None else read.weight[rows]
        return Lookup(step_vectors(items, users, read.num_items, self.width, each), device)

    def _read(self) -> Catalog:
        return Catalog.read(Place.of(self.catalog))
