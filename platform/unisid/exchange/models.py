"""Exports a recommender as a folder that the transformers library loads, with its trie (CSR) and vocabulary table."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.backbones import Backbone
from unisid.config import Json
from unisid.exchange.packing import Packing, add_index
from unisid.language.hugging_face import HuggingFace
from unisid.ops.semantic_ids import tokens

FORMAT, VERSION = "unisid-model", 1
WEIGHTS = "model.safetensors"


def export_model(backbone: Backbone, model: Place, codes: Place, catalog: Place, to: str) -> Json:
    """Write the folder of a recommender; returns its manifest.

    Raises:
        ConfigError: something lies in the folder, or the backbone is no model of the library.
    """
    found = backbone.hugging_face()
    packing, index, shop = Packing.begin(to), Codes.read(codes), Catalog.read(catalog)
    for name, data in found.files.items():
        packing.add(name, data)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in found.weights.items()}
    packing.add(WEIGHTS, safetensors.torch.save(plain, metadata={"format": "pt"}))
    add_index(packing, index, shop.item_ids)
    packing.add("vocabulary.parquet", _vocabulary(found, index))
    described = {
        "address": model.address and str(model.address),
        "codes": {"address": index.record.address, "fingerprint": index.record.fingerprint},
        "items": len(index.codes),
        "sizes": list(index.sizes),
        "level_starts": list(found.level_starts),
        "history_length": shop.history_length,
        "asked": found.prompting,
    }
    return packing.finish(FORMAT, VERSION, described)


def _vocabulary(found: HuggingFace, index: Codes) -> bytes:
    """The table of tokens: `entry` of the vocabulary, `level` and `code` that it stands for, and its `token`."""
    rows = [
        {"entry": start + code, "level": level, "code": code}
        for level, (start, size) in enumerate(zip(found.level_starts, index.sizes, strict=True))
        for code in range(size)
    ]
    table = pa.Table.from_pylist(rows).append_column("token", pa.array(tokens(index.sizes), pa.string()))
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()
