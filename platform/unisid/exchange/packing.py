"""Writes a package: files with their digests in a manifest, which is written last."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import unisid
from unisid.artifacts.codes import Codes
from unisid.artifacts.reading import contents
from unisid.artifacts.store import Place
from unisid.config import Json
from unisid.decoding import trie
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.ops.semantic_ids import spell_all


@dataclass
class Packing:
    """A package under construction in an empty place."""

    place: Place
    files: dict[str, Json] = field(default_factory=dict)
    """Name -> {"bytes", "sha256"} of what was written."""

    @classmethod
    def begin(cls, to: str) -> "Packing":
        """Raises ConfigError where something lies at the place already."""
        place = Place.of(to)
        if place.exists() and (place.sizes() or place.folders()):
            raise ConfigError(f"--to {place}: is not empty; name a folder that is, or does not exist yet")
        return cls(place)

    def add(self, name: str, data: bytes) -> None:
        """Write a file."""
        self.place.write(name, data)
        self.files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def add_arrays(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays as numpy reads them (.npz, uncompressed)."""
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        self.add(name, stream.getvalue())

    def take(self, source: Place, name: str, under: str) -> bool:
        """Copy a file of an artifact under another name; returns whether the package has it."""
        if source.exists(name):
            self.add(under, contents(source, name))
        return under in self.files

    def finish(self, kind: str, version: int, described: Json) -> Json:
        """Write the manifest; returns it."""
        manifest = {"format": kind, "version": version, "unisid": unisid.__version__, **described, "files": self.files}
        self.place.write(reader.MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
        return manifest


def add_index(packing: Packing, codes: Codes, item_ids: pa.Array) -> None:
    """Write the semantic ids both ways: `items.parquet` and `trie.npz`."""
    values = np.ascontiguousarray(codes.codes, np.int32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), codes.num_levels)
    table = pa.table({"item_id": item_ids, "codes": column, "sid": pa.array(spell_all(values), pa.string())})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    packing.add("items.parquet", stream.getvalue())
    packing.add_arrays("trie.npz", trie_arrays(values))


def trie_arrays(codes: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """The trie as CSR, level by level, as `reader.Package.trie` says."""
    import torch

    built = trie.build(torch.tensor(codes))
    found: dict[str, NDArray[Any]] = {"items": built.items.numpy()}
    for number, level in enumerate(built.levels):
        found |= {f"codes_{number}": level.codes.numpy(), f"first_child_{number}": level.first_child.numpy()}
    return found


def add_reader(packing: Packing) -> None:
    """Write the stand-alone reader."""
    packing.add("reader.py", Path(reader.__file__).read_bytes())
