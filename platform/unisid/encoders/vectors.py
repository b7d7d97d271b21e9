"""Item vectors made elsewhere, from a Parquet file: of an image model, an audio model, another system.

It reads an item's id and not its text: the "token" of an item is the number of its row in the file, 0 where the file
has none. Such an item has the zero vector, as one whose modality is missing. B items, T tokens (one), D width.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.config import Json, did_you_mean, runtime
from unisid.encoders import Encoder, EncoderConfig, Tokenizer, Tokens
from unisid.errors import ConfigError, DataError

BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Config(EncoderConfig):
    """A table of vectors. It bears identity through `source`, by what the file holds."""

    reads: ClassVar[Literal["text", "item_id"]] = "item_id"
    grows: ClassVar[bool] = True

    path: str = runtime("vectors.parquet")
    """A Parquet file with one row an item."""
    item_id: str = "item_id"
    """The column of the items' ids, as the catalogue has them."""
    vector: str = "vector"
    """The column of the vectors: lists of numbers, all of one length."""

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        return Rows(self._table().column(0))

    def build(self, device: torch.device) -> Encoder:
        return Lookup(matrix(self._table(), str(self._file())), device)

    def source(self) -> Json:
        file, sha = self._file(), hashlib.sha256()
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                sha.update(block)
        return {"address": self.path, "fingerprint": sha.hexdigest()}

    def _file(self) -> Path:
        file = Path(self.path).expanduser()
        if not file.is_file():
            raise ConfigError(f"encoder vectors '{self.path}': no such file; must be a Parquet file of item vectors")
        return file

    def _table(self) -> pa.Table:
        """Ids and vectors; raises DataError where the file is no such table."""
        file = self._file()
        try:
            held = pq.read_schema(file).names
            for name in (self.item_id, self.vector):
                if name not in held:
                    raise DataError(
                        f"{file}: has no column '{name}'{did_you_mean(name, held)}; it has {', '.join(held)}"
                    )
            table = pq.read_table(file, columns=[self.item_id, self.vector])
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{file}: cannot be read as Parquet ({error}); write it anew") from None
        ids = table.column(self.item_id).cast(pa.string())
        repeated = len(ids) - ids.null_count - pc.count_distinct(ids).as_py()
        if ids.null_count or repeated:
            raise DataError(
                f"{file}, column '{self.item_id}': has {ids.null_count} empty ids, and {repeated} that "
                "repeat; give one row an item"
            )
        return pa.table({"item_id": ids, "vector": table.column(self.vector)})


def matrix(table: pa.Table, where: str) -> Float[np.ndarray, "rows D"]:
    """The vectors [rows, D]; raises DataError for lists of unlike lengths and for what is no finite number."""
    column = table.column("vector").combine_chunks()
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not len(column) or not any(is_kind(column.type) for is_kind in kinds):
        raise DataError(f"{where}: vectors are of type {column.type} in {len(column)} rows; must be lists of numbers")
    lengths = set(pc.list_value_length(column).to_pylist())
    if len(lengths) > 1 or lengths & {None, 0}:
        shown = ", ".join(sorted(map(str, lengths))[:5])
        raise DataError(f"{where}: vectors have the lengths {shown}; all must have one, and none may be empty")
    try:
        values = column.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False).reshape(len(column), -1)
    except pa.ArrowException as error:
        raise DataError(f"{where}: vectors are no lists of numbers ({error}); must be") from None
    if not np.isfinite(values).all():
        raise DataError(
            f"{where}: the vectors of {int((~np.isfinite(values)).any(1).sum())} items hold NaN, infinity "
            "or nothing; every value must be a finite number"
        )
    return np.ascontiguousarray(values, np.float32)


class Rows:
    """Item ids -> the numbers of their rows, from 1; 0 for an item without one."""

    def __init__(self, ids: pa.ChunkedArray) -> None:
        self.ids = ids.combine_chunks()

    def __call__(self, texts: Sequence[str]) -> Tokens:
        found = pc.fill_null(pc.index_in(pa.array(texts, pa.string()), value_set=self.ids), -1).to_numpy()
        one = np.ones(len(texts), np.int64)
        return Tokens((found + 1).astype(np.int32), one, np.zeros(len(texts), bool))


class Lookup:
    """The vectors by row; row 0 is the zero vector."""

    causal = True

    def __init__(self, vectors: Float[np.ndarray, "rows D"], device: torch.device) -> None:
        self.width = vectors.shape[1]
        self.vectors = torch.from_numpy(np.concatenate([np.zeros((1, self.width), np.float32), vectors])).to(device)

    def __call__(self, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T D"]:
        return self.vectors[ids]
