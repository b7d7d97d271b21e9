"""The vectors of items that a package's index lacks: texts by the encoders that it names, then its fusion.

They are those of an extension (`unisid index extend`), from the package alone. n items, S width of a modality, W of the
fused vector.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
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
from unisid.fusion import GRAPH, TEXT, Fusion, in_order
from unisid.stages import embeddings
from unisid.stages import fused as stage
from unisid.stages.fused.reading import Known, Rows

ROWS = 1024
"""Items fused at a time."""
PIECE = 4 * ROWS
"""Items encoded at a time, as many as a shard of embeddings has by default: only their token states are held."""
PAST = torch.iinfo(torch.int64).max
"""The number of an item that comes after all that a fusion learned from."""
Given = Mapping[str, Sequence[str] | Float[np.ndarray, "n S"]]
Read = Callable[[slice], Rows]
"""Some items' rows of one modality."""


def vectors_of(package: str, given: Given) -> Float[np.ndarray, "n W"]:
    """The vectors of new items, for the `encode` of the package's reader.

    Token states are held of `PIECE` items at a time. Items of a piece share the encoder's batches, so a network may
    round an item otherwise beside others; up to `PIECE` items are one piece, and a text that is read by itself (as by
    `hashing`) has the same vector, bit for bit, in any.

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
    modalities = _modalities(package, manifest, given, count, fusion.reads_states)
    vectors = np.empty((count, fusion.width), np.float32)
    for start in range(0, count, PIECE):
        piece = slice(start, min(start + PIECE, count))
        vectors[piece] = _fused(fusion, {name: read(piece) for name, read in modalities.items()})
    return vectors


def _fused(fusion: Fusion, modalities: Mapping[str, Rows]) -> Float[np.ndarray, "n W"]:
    count = len(next(iter(modalities.values())).lengths)
    known = Known(modalities, torch.full((count,), PAST))
    vectors = np.empty((count, fusion.width), np.float32)
    for start in range(0, count, ROWS):
        some = np.arange(start, min(start + ROWS, count))
        items, where = known.view(some, np.zeros(len(some), np.int64))
        with torch.inference_mode():
            vectors[some] = fusion(items).float().numpy()[where]
    return vectors


def _modalities(package: str, manifest: Json, given: Given, count: int, reads_states: bool) -> dict[str, Read]:
    """Readers of the inputs of the fusion, in the order of modalities."""
    widths = stage.widths_of(read_json(Place.of(package), reader.FUSION))
    if wrong := [name for name, rows in given.items() if name not in widths or name == GRAPH or isinstance(rows, str)]:
        raise ConfigError(
            f"{package}: '{wrong[0]}' is a single text, or no modality that its fusion reads; must be lists of texts, "
            f"or vectors [n, S], for {', '.join(name for name in in_order(widths) if name != GRAPH)}"
        )
    reads: dict[str, Read] = {}
    for name in in_order(widths):
        if name == GRAPH:
            reads[name] = functools.partial(_without, manifest["fusion"].get("graph_layers", 1), widths[name])
            continue
        if len(given.get(name, ())) != count or name not in given:
            raise ConfigError(
                f"{package}: modality '{name}' of {len(given.get(name, ())):,} items, {count:,} are given; must have "
                f"{', '.join(other for other in in_order(widths) if other != GRAPH)}, each of all of them"
            )
        rows = given[name]
        if isinstance(rows, np.ndarray):
            width, reads[name] = rows.shape[1], functools.partial(_vectors, name, rows)
        else:
            texts = _Texts(package, manifest, name, rows, reads_states)
            width, reads[name] = texts.encode.encoder.width, texts
        if width != widths[name]:
            raise ConfigError(f"{package}: modality '{name}' is {width} wide; must be {widths[name]}")
    return reads


def _without(layers: int, width: int, piece: slice) -> Rows:
    """The graph's rows of items that have no interactions."""
    return Rows.several(torch.zeros(piece.stop - piece.start, layers, width))


def _vectors(name: str, given: Float[np.ndarray, "n S"], piece: slice) -> Rows:
    return Rows.one(name, torch.from_numpy(np.ascontiguousarray(given[piece], np.float32)))


def _manifest(package: str) -> Json:
    try:
        manifest = reader.manifest_of(Path(package), reader.FORMAT, reader.VERSION)
    except reader.PackageError as error:
        raise DataError(str(error)) from None
    if reader.FUSION not in manifest["files"]:
        raise DataError(f"{package}: holds no {reader.FUSION}: its ids came from elsewhere; must be an index made here")
    return manifest


class _Texts:
    """Some items' token states or text vectors of one modality, of their texts."""

    def __init__(self, package: str, manifest: Json, name: str, texts: Sequence[str], reads_states: bool) -> None:
        named = manifest["encoders"].get("embeddings" if name == TEXT else f"embeddings.{name}", {})
        config = _config(package, named, name)
        self.name, self.texts, self.reads_states = name, texts, reads_states
        self.tokens, self.encode = embeddings.Reader(Place.of(package), config), embeddings.Encode(config)

    def __call__(self, piece: slice) -> Rows:
        texts: list[str | None] = list(self.texts[piece])
        tokens, _ = self.tokens.tokenize(texts)
        ends = pa.array(np.concatenate([[0], np.cumsum(tokens.lengths)]))
        lists = pa.LargeListArray.from_arrays(ends, pa.array(tokens.ids))
        encoded, lengths = self.encode(pa.table({"item_id": texts, "tokens": lists, "truncated": tokens.truncated}))
        if self.reads_states and encoded.states is not None:
            return Rows(torch.from_numpy(encoded.states), torch.from_numpy(lengths))
        return Rows.one(self.name, torch.from_numpy(encoded.pooled))


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
