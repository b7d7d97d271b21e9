"""Exports an index as a package for numpy and pyarrow: ids both ways, the tokenizer's arrays, the vectors' origin.

n examples, D width of the vectors.
"""

import numpy as np
import torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.embeddings import DTYPE, dtype_of
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.record import Record, require, require_input
from unisid.artifacts.roles import in_flow, noun_of
from unisid.artifacts.store import Store
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.exchange.packing import Packing, add_index, add_reader
from unisid.log import logger
from unisid.tokenizers import DESCRIPTION, WEIGHTS, Tokenizer, read_tokenizer

LOG = logger(__name__)
EXAMPLES = 64
"""Vectors of items, evenly spread, that go with their codes into a package."""
ROWS = 1 << 14
READING = ("max_tokens", "pooling", "normalise", "keep_states")
"""The settings of embeddings, beside the encoder, that decide an item's vectors."""


def export_codes(codes: Codes, store: Store, to: str) -> Json:
    """Write the package of an index to an empty folder; returns its manifest.

    Raises:
        ConfigError: something lies in the folder.
        ArtifactError: the index, its catalog or its vectors are not whole.
    """
    packing, place = Packing.begin(to), require_input(store, codes.record, "catalog")
    catalog = Catalog.read(place)
    add_index(packing, codes, catalog.item_ids)
    vectors = _vectors(codes.record, store)
    described = {
        "address": codes.record.address,
        "fingerprint": codes.record.fingerprint,
        "items": len(codes.codes),
        "sizes": list(codes.sizes),
        "catalog": codes.record.inputs["catalog"],
        **_encoding(packing, codes, vectors),
        **_origin(packing, vectors, store),
    }
    add_reader(packing)
    return packing.finish(reader.FORMAT, reader.VERSION, described)


def _vectors(record: Record, store: Store) -> Fused | None:
    """The vectors that were quantized into these ids; None for imported ids."""
    return Fused.read(require_input(store, record, "fused")) if "fused" in record.inputs else None


def _encoding(packing: Packing, codes: Codes, vectors: Fused | None) -> Json:
    """Write the tokenizer's arrays and examples; returns how to use them, or why they cannot be used without unisid."""
    for name in (DESCRIPTION, WEIGHTS):
        packing.take(codes.place, name, name)
    if DESCRIPTION not in packing.files:
        return {"encoding": None, "why_not": f"{codes.record.address} holds no tokenizer: its ids came from elsewhere"}
    tokenizer = read_tokenizer(codes.place)
    try:
        portable = tokenizer.portable()
    except ConfigError as error:
        LOG.warning(f"new items' vectors cannot be encoded by the package's reader: {error}")
        return {"encoding": None, "why_not": str(error)}
    named = {"mean": tokenizer.mean, "std": tokenizer.std, **portable.arrays()}
    arrays = {name: np.ascontiguousarray(tensor.detach().float().numpy()) for name, tensor in named.items()}
    sizes = list(codes.sizes[: _levels(tokenizer)])
    encoding: Json = {
        "kind": type(tokenizer).__module__.rpartition(".")[2],
        "quantizer": portable.quantizer,
        "width": len(tokenizer.mean),
        "levels": len(sizes),
        "sizes": sizes,
        "layers": len(portable.layers),
        "normalise": portable.normalise,
    }
    packing.add_arrays("tokenizer.npz", arrays)
    if vectors is not None:
        encoding["compared"] = _compare(packing, tokenizer, arrays, encoding, vectors)
    return {"encoding": encoding}


def _levels(tokenizer: Tokenizer) -> int:
    """The number of learned levels: all but the one that numbers items of equal codes."""
    with torch.no_grad():
        return tokenizer.encode(tokenizer.mean[None]).shape[1]


@torch.no_grad()
def _compare(
    packing: Packing, tokenizer: Tokenizer, arrays: dict[str, np.ndarray], encoding: Json, vectors: Fused
) -> Json:
    """Encode all items by the tokenizer and by the package's reader; returns how many there are and how many differ."""
    count = len(vectors.shards)
    differ = 0
    for start in range(0, count, ROWS):
        some = vectors.vectors(np.arange(start, min(start + ROWS, count)))
        ours, theirs = tokenizer.encode(torch.from_numpy(some)).numpy(), reader.encoded(some, arrays, encoding)
        differ += int((ours != theirs).any(1).sum())
    if differ:
        LOG.warning(f"the package's reader gives {differ:,} of {count:,} vectors other codes: they lie between two")
    rows = np.unique(np.linspace(0, count - 1, min(count, EXAMPLES)).astype(np.int64))
    some = vectors.vectors(rows)
    own = tokenizer.encode(torch.from_numpy(some)).numpy()
    same = (own == reader.encoded(some, arrays, encoding)).all(1)
    packing.add_arrays(
        "examples.npz", {"vectors": some[same], "codes": own[same].astype(np.int32), "items": rows[same]}
    )
    return {"items": count, "differ": differ}


def _origin(packing: Packing, vectors: Fused | None, store: Store) -> Json:
    """Write the fusion's weights; returns which fusion and which encoders made the vectors."""
    if vectors is None:
        return {"fusion": None, "encoders": {}}
    for name, under in ((reader.FUSION, reader.FUSION), (WEIGHTS, reader.FUSION_WEIGHTS)):
        packing.take(vectors.place, name, under)
    record = vectors.record
    fusion: Json = {"address": record.address, "fingerprint": record.fingerprint}
    if "graph" in record.inputs:
        fusion["graph_layers"] = Graph.read(require_input(store, record, "graph")).num_layers
    encoders = {}
    for role in in_flow(role for role in record.inputs if noun_of(role) == "embeddings"):
        made = require(require_input(store, record, role), "embeddings")
        reading = {name: made.config.get(name) for name in READING}
        source = made.inputs.get("encoder", {})
        encoder = made.settings.get("encoder")
        if encoder and (dtype := dtype_of(made.counts)):
            encoder = encoder | {DTYPE: dtype}
        encoders[role] = {"settings": encoder, "reading": reading, **source}
    return {"fusion": fusion, "encoders": encoders}
