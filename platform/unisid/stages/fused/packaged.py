"""The vectors of items that a package's index lacks: texts by the encoders that it names, then its fusion.

They are those of an extension (`unisid index extend`), from the package alone. n items, S width of a modality, W of the
fused vector.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float

from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json
from unisid.compute import Pool
from unisid.config import Json, from_record
from unisid.encoders import EncoderConfig
from unisid.errors import ConfigError, DataError
from unisid.exchange import reader
from unisid.fusion import GRAPH, TEXT, in_order
from unisid.stages import embeddings
from unisid.stages import fused as stage
from unisid.stages.fused.reading import Known, Rows

ROWS = 1024
"""Items fused at a time."""
PAST = torch.iinfo(torch.int64).max
"""The number of an item that comes after all that a fusion learned from."""
Given = Mapping[str, Sequence[str] | Float[np.ndarray, "n S"]]


def vectors_of(package: str, given: Given) -> Float[np.ndarray, "n W"]:
    """The vectors of new items, for the `encode` of the package's reader.

    Args:
        package: the folder of an index's package.
        given: by modality the items' texts, or vectors [n, S] that were made elsewhere. There is no `graph`: a new item
            has no interactions.

    Raises:
        DataError: the folder holds no whole package, or one without a fusion.
        ConfigError: a modality is missing or of another width, or its encoder is not the one that the package names.
    """
    manifest = _manifest(package)
    fusion = stage.load(Place.of(package), reader.FUSION_WEIGHTS)
    count = len(next(iter(given.values()), ()))
    known = Known(_modalities(package, manifest, given, count, fusion.reads_states), torch.full((count,), PAST))
    vectors = np.empty((count, fusion.width), np.float32)
    for start in range(0, count, ROWS):
        some = np.arange(start, min(start + ROWS, count))
        items, where = known.view(some, np.zeros(len(some), np.int64))
        with torch.inference_mode():
            vectors[some] = fusion(items).float().numpy()[where]
    return vectors


def _modalities(package: str, manifest: Json, given: Given, count: int, reads_states: bool) -> dict[str, Rows]:
    """The inputs of the fusion for each item, in the order of modalities."""
    widths = stage.widths_of(read_json(Place.of(package), reader.FUSION))
    if wrong := [name for name, rows in given.items() if name not in widths or name == GRAPH or isinstance(rows, str)]:
        raise ConfigError(
            f"{package}: '{wrong[0]}' is a single text, or no modality that its fusion reads; must be lists of texts, "
            f"or vectors [n, S], for {', '.join(name for name in in_order(widths) if name != GRAPH)}"
        )
    rows = {}
    for name in in_order(widths):
        if name == GRAPH:
            layers = manifest["fusion"].get("graph_layers", 1)
            rows[name] = Rows.several(torch.zeros(count, layers, widths[name]))
            continue
        if len(given.get(name, ())) != count or name not in given:
            raise ConfigError(
                f"{package}: modality '{name}' of {len(given.get(name, ())):,} items, {count:,} are given; must have "
                f"{', '.join(other for other in in_order(widths) if other != GRAPH)}, each of all of them"
            )
        rows[name] = _rows(package, manifest, name, given[name], reads_states)
        if rows[name].values.shape[1] != widths[name]:
            raise ConfigError(
                f"{package}: modality '{name}' is {rows[name].values.shape[1]} wide; must be {widths[name]}"
            )
    return rows


def _manifest(package: str) -> Json:
    try:
        manifest = reader.manifest_of(Path(package), reader.FORMAT, reader.VERSION)
    except reader.PackageError as error:
        raise DataError(str(error)) from None
    if reader.FUSION not in manifest["files"]:
        raise DataError(f"{package}: holds no {reader.FUSION}: its ids came from elsewhere; must be an index made here")
    return manifest


def _rows(
    package: str, manifest: Json, name: str, given: Sequence[str] | Float[np.ndarray, "n S"], reads_states: bool
) -> Rows:
    """One modality of the items: the vectors given, or token states or text vectors of the texts."""
    if isinstance(given, np.ndarray):
        return Rows.one(name, torch.from_numpy(np.ascontiguousarray(given, np.float32)))
    config = _config(
        package, manifest["encoders"].get("embeddings" if name == TEXT else f"embeddings.{name}", {}), name
    )
    tokens, _ = embeddings.Reader(Place.of(package), config).tokenize(list(given))
    ends = pa.array(np.concatenate([[0], np.cumsum(tokens.lengths)]))
    lists = pa.LargeListArray.from_arrays(ends, pa.array(tokens.ids))
    items = pa.table({"item_id": list(given), "tokens": lists, "truncated": tokens.truncated})
    encoded, lengths = embeddings.Encode(config)(items)
    if reads_states and encoded.states is not None:
        return Rows(torch.from_numpy(encoded.states), torch.from_numpy(lengths))
    return Rows.one(name, torch.from_numpy(encoded.pooled))


def _config(package: str, named: Json, name: str) -> embeddings.Config:
    """The settings of a modality's embeddings; the encoder is the one that made those of the index."""
    if "reading" not in named:
        raise ConfigError(
            f"{package}: does not say how the texts of '{name}' were read (an older unisid wrote it); export the index "
            "again, or give vectors in their place"
        )
    here = Pool(workers=0)
    encoder = from_record(EncoderConfig, named["settings"])  # type: ignore[type-abstract]
    if encoder.reads != "text":
        raise ConfigError(f"{package}: the encoder '{encoder.kind}' of '{name}' reads no text; give vectors [n, S]")
    source = encoder.source() or {}
    if source.get("fingerprint") != named.get("fingerprint"):
        raise ConfigError(
            f"{package}: the encoder of '{name}' is {named.get('address')}, fingerprint "
            f"{str(named.get('fingerprint'))[:12]}, which here has {str(source.get('fingerprint'))[:12]}; must be equal"
        )
    return embeddings.Config(encoder=encoder, **named["reading"], tokenize=here, pool=here)
