"""A small store with one artifact of every noun, and all that its readers say, in comparable words."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tests.recommenders import TINY, N
from tests.stages import ring
from unisid.artifacts import baseline, codes, curve, embeddings, fused, graph, instructions, metrics, model, sequences
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import Record, require, require_input, write_record
from unisid.artifacts.shards import to_arrow, to_ragged, write_array, write_shard
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.artifacts.tables import write_table, write_tables
from unisid.artifacts.weights import write_json
from unisid.config import to_record
from unisid.recommend import Recommender

NAME = "small"
D = 4
Written = tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]
"""Settings, counts and inputs, as the record has them."""


def place_of(store: Store, noun: str) -> Place:
    return store.place(Address(noun, NAME, "1"))


def write(store: Store) -> Store:
    """Fill a store, in the order of the data flow."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    for noun in NOUNS:
        place = place_of(store, noun)
        config, counts, roles = WRITERS[noun](place, rng)
        curve.write_curve(place, [(0, "loss", 0.5), (1, "loss", 0.25)])
        inputs = {role: require(place_of(store, role), role) for role in roles}
        entries = {role: {"address": r.address, "fingerprint": r.fingerprint} for role, r in inputs.items()}
        write_record(place, Record(address=f"{noun}/{NAME}/1", config=config, inputs=entries, counts=counts,
                                   files=place.sizes(), created="2026-01-02T03:04:05+00:00"))  # fmt: skip
    return store


def _catalog(place: Place, rng: np.random.Generator) -> Written:
    ring.write_catalog(place, ring.walks(12, N), N)
    place.remove("record.json")
    return {"history_length": ring.HISTORY}, {"items": N, "users": 12}, ()


def _embeddings(place: Place, rng: np.random.Generator) -> Written:
    lengths = rng.integers(1, 5, N)
    states = rng.normal(size=(lengths.sum(), D)).astype(np.float16)
    pooled = to_arrow(rng.normal(size=(N, D)).astype(np.float32))
    write_shard(place, "states", 0, pa.table({"pooled": pooled, "states": to_ragged(states, lengths)}))
    return {}, {"width": D, "has_states": True}, ("catalog",)


def _graph(place: Place, rng: np.random.Generator) -> Written:
    layers, degree = rng.normal(size=(N, 2, D)).astype(np.float32), np.arange(N, dtype=np.int32)
    write_array(place, "items", {"layers": layers, "degree": degree}, shard_rows=12)
    write_array(place, "users", {"vector": rng.normal(size=(12, D)).astype(np.float32)})
    return {}, {"layers": 2, "width": D}, ("catalog",)


def _fused(place: Place, rng: np.random.Generator) -> Written:
    vectors = rng.normal(size=(N, D)).astype(np.float32)
    write_array(place, "vectors", {"vector": vectors, "text_only": np.arange(N) % 2 == 0})
    return {}, {"width": D}, ("embeddings", "graph")


def _codes(place: Place, rng: np.random.Generator) -> Written:
    ring.write_index(place, N)
    place.remove("record.json")
    return {"seed": 3}, {"sizes": list(ring.SIZES)}, ("catalog", "fused")


def _sequences(place: Place, rng: np.random.Generator) -> Written:
    rows = {"user": [0, 1], "history": [[3], [1, 2]], "target": [1, 0], "tokens": [[3, 9], [1, 8]]}
    for split in ("train", "valid", "test"):
        write_tables(place, split, [pa.table(rows)])
    return {}, {"train": 2, "valid": 2, "test": 2}, ("catalog", "codes")


def _instructions(place: Place, rng: np.random.Generator) -> Written:
    rows = {"task": ["next"], "user": [4], "target": [2], "head": ["took "], "pieces": [[3, 1]], "tail": [""],
            "response": ["<a_1>"]}  # fmt: skip
    for split in ("train", "valid"):
        write_tables(place, split, [pa.table(rows)])
    return {"tasks": ["next"]}, {"train": 1, "valid": 1}, ("catalog", "codes")


def _model(place: Place, rng: np.random.Generator) -> Written:
    model.write_model(place, to_record(TINY), TINY.build(ring.SIZES).weights(), {"words.txt": b"some words"})
    return {"backbone": to_record(TINY)}, {}, ("codes", "sequences")


def _baseline(place: Place, rng: np.random.Generator) -> Written:
    settings = {"kind": "sasrec", "width": 8}
    baseline.write_baseline(place, settings, {"decay": 0.5}, {"a": torch.arange(6.0)})
    write_json(place, "metrics.json", {"sasrec": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.0, "high": 0.3}}}})
    write_table(place, "ranks-sasrec", 0, pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None]}))
    return {"baseline": settings}, {}, ("catalog",)


def _metrics(place: Place, rng: np.random.Generator) -> Written:
    found = {"mine": {"excluded": {"HR@10": {"mean": 0.1, "low": 0.0, "high": 0.3}}}}
    metrics.write_metrics(place, found, {})
    metrics.write_ranks(place, "mine", pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None]}))
    return {"method": "mine", "baselines": []}, {}, ("catalog", "model")


WRITERS: dict[str, Callable[[Place, np.random.Generator], Written]] = {
    "catalog": _catalog, "embeddings": _embeddings, "graph": _graph, "fused": _fused, "codes": _codes,
    "sequences": _sequences, "instructions": _instructions, "model": _model, "baseline": _baseline,
    "metrics": _metrics,
}  # fmt: skip


def _said_catalog(store: Store) -> Any:
    read = Catalog.read(place_of(store, "catalog"))
    return (read.num_items, read.num_users, read.history_length, read.item_ids.to_pylist(), read.titles.to_pylist(),
            read.user_ids.to_pylist(), read.user, read.item, read.timestamp, read.split, read.offsets)  # fmt: skip


def _said_embeddings(store: Store) -> Any:
    read = embeddings.Embeddings.read(place_of(store, "embeddings"))
    return read.width, read.has_states, read.pooled(), read.shards.read_ragged("states", np.arange(N))


def _said_graph(store: Store) -> Any:
    read = graph.Graph.read(place_of(store, "graph"))
    return (
        read.num_layers,
        read.width,
        read.layers(),
        read.layers(np.array([5, 1])),
        read.degree(),
        read.users.read("vector"),
    )


def _said_fused(store: Store) -> Any:
    read = fused.Fused.read(place_of(store, "fused"))
    return read.width, read.vectors(), read.vectors(np.array([6, 2])), read.text_only()


def _said_codes(store: Store) -> Any:
    read = codes.Codes.read(place_of(store, "codes"))
    catalog = Catalog.read(require_input(store, read.record, "catalog"))
    return read.sizes, read.codes, read.tokens(np.arange(N)), read.find((1,)), catalog.num_items


def _said_sequences(store: Store) -> Any:
    read = sequences.Sequences.read(place_of(store, "sequences"))
    return [(read.num_samples(split), read.table(split)) for split in ("train", "valid", "test")]


def _said_instructions(store: Store) -> Any:
    read = instructions.Instructions.read(place_of(store, "instructions"))
    return read.tasks, [(read.num_rows(split), read.table(split)) for split in ("train", "valid")]


def _said_model(store: Store) -> Any:
    index, place = codes.Codes.read(place_of(store, "codes")), place_of(store, "model")
    read = model.Model.read(place, index)
    served = Recommender.load(place, index.place, place_of(store, "catalog"), torch.device("cpu"))
    return read.backbone(), read.files(), read.weights(), served.rank([np.array([1, 2])], 5)


def _said_baseline(store: Store) -> Any:
    read = baseline.Baseline.read(place_of(store, "baseline"))
    return read.method, read.settings(), read.chosen(), read.weights(), read.results(), read.ranks()


def _said_metrics(store: Store) -> Any:
    read = metrics.Metrics.read(place_of(store, "metrics"))
    return read.results(), read.comparisons(), read.ranks("mine"), curve.read_curve(read.place)


READERS: dict[str, Callable[[Store], Any]] = {
    "catalog": _said_catalog, "embeddings": _said_embeddings, "graph": _said_graph, "fused": _said_fused,
    "codes": _said_codes, "sequences": _said_sequences, "instructions": _said_instructions, "model": _said_model,
    "baseline": _said_baseline, "metrics": _said_metrics,
}  # fmt: skip


def plain(value: Any) -> Any:
    """A value as text and numbers that compare by their bytes."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, pa.Table):
        return str(value.schema), repr(value.to_pydict())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return tuple(map(plain, value)) if isinstance(value, (tuple, list)) else repr(value)
