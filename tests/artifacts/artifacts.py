"""One small complete artifact of every noun, at its address in a store, and all that its readers read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts import (
    baseline,
    catalog,
    codes,
    curve,
    embeddings,
    fused,
    graph,
    instructions,
    joint,
    keywords,
    metrics,
    model,
)
from unisid.artifacts import sequences as samples
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.shards import to_arrow, to_ragged, write_array, write_shard
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import read_json, write_json
from unisid.ops.prompts import Prompts

N, D, LAYERS = 7, 3, 2
SIZES = (3, 4)
CODES = np.stack(np.unravel_index(np.arange(N), SIZES), 1)
FIGURE = {"mean": 0.1, "low": 0.05, "high": 0.3}
FIGURES = {"toy": {rule: {"HR@10": FIGURE, "NDCG@10": FIGURE} for rule in ("excluded", "allowed")}}
RANKS = pa.table({"user": [0, 2], "target": [5, 1], "excluded": [1.5, None], "allowed": [3.0, None]})


def place_of(store: Store, noun: str) -> Place:
    return store.place(Address(noun, "t", "1"))


def write(store: Store) -> None:
    """Every noun."""
    random = np.random.default_rng(0)

    def done(noun: str, counts: Mapping[str, Any], config: Mapping[str, Any] | None = None, *inputs: str) -> None:
        place = place_of(store, noun)
        curve.write_curve(place, [(0, "loss", 0.5), (3, "loss", 0.25)])
        went = {role: require(place_of(store, role), role) for role in inputs}
        write_record(
            place,
            Record(
                address=f"{noun}/t/1",
                config=dict(config or {}),
                counts=dict(counts),
                files=place.sizes(),
                inputs={role: {"address": r.address, "fingerprint": r.fingerprint} for role, r in went.items()},
                code_version="0",
                seconds=1.5,
                created="2026-01-02T03:04:05+00:00",
                runtime={"pool.workers": 2},
            ),
        )

    at = place_of(store, "catalog")
    user = np.repeat(np.arange(3), 3)
    catalog.write_interactions(at, user, np.arange(9) % N, np.arange(9), np.tile([0, 1, 2], 3))
    names = [f"item {number}" for number in range(N)]
    write_table(at, "items", 0, pa.table({"item_id": names, "title": names, "text": names}))
    write_table(at, "users", 0, pa.table({"user_id": ["a", "b", "c"]}))
    done("catalog", {"items": N, "users": 3}, {"history_length": 2})

    at = place_of(store, "embeddings")
    lengths = np.array([1, 0, 4, 2, 1, 3, 2])
    states = random.normal(size=(lengths.sum(), D)).astype(np.float16)
    pooled = random.normal(size=(N, D)).astype(np.float32)
    table = pa.table({"pooled": to_arrow(pooled), "states": to_ragged(states, lengths)})
    write_shard(at, embeddings.FAMILY, 0, table)
    done("embeddings", {"width": D, "has_states": True}, None, "catalog")

    at = place_of(store, "graph")
    layers = random.normal(size=(N, LAYERS, D)).astype(np.float32)
    write_array(at, graph.ITEMS, {"layers": layers, "degree": np.arange(N, dtype=np.int32)}, shard_rows=3)
    write_array(at, graph.USERS, {"vector": random.normal(size=(3, D)).astype(np.float32)})
    done("graph", {"layers": LAYERS, "width": D}, None, "catalog")

    at = place_of(store, "fused")
    write_array(at, fused.FAMILY, {"vector": pooled, "text_only": np.arange(N) % 2 == 0}, shard_rows=4)
    done("fused", {"width": D}, None, "embeddings", "graph")

    settings = {"kind": "tiger", "width": 8}
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    codes.write_codes(place_of(store, "joint"), CODES, SIZES)
    model.write_model(place_of(store, "joint"), settings, tensors)
    done("joint", {"sizes": list(SIZES)}, {"method": {"kind": "toy"}}, "fused", "catalog")

    codes.write_codes(place_of(store, "codes"), CODES, SIZES)
    write_json(place_of(store, "codes"), "quality.json", {"distinct": 1.0})
    done("codes", {"sizes": list(SIZES)}, {"levels": 2}, "fused", "catalog")

    at = place_of(store, "keywords")
    words = ["<a_0>", 0, 0, 3, ["pen", "ink"], 0.75, "What they share: pen, ink."]
    values = zip(keywords.SCHEMA, words, strict=True)
    write_table(at, "tokens", 0, pa.table({field.name: pa.array([value], field.type) for field, value in values}))
    done("keywords", {"tokens": 1}, None, "catalog", "codes")

    at = place_of(store, "sequences")
    rows = {"user": [0, 1], "history": [[1, 2], [3]], "target": [4, 5], "tokens": [[0, 3, 1, 4], [2, 5]]}
    for split in ("train", "valid", "test"):
        write_table(at, split, 0, pa.table(rows))
    done("sequences", {"train": 2, "valid": 2, "test": 2}, None, "codes", "catalog")

    at = place_of(store, "instructions")
    words = {
        "task": ["next"],
        "user": [1],
        "target": [2],
        "head": ["took "],
        "separator": [", "],
        "pieces": [[3, 1]],
        "tail": ["?"],
        "response": ["<a_1>"],
    }
    for split in ("train", "valid"):
        write_table(at, split, 0, pa.table(words))
    with at.writing("prompts.json") as stream:
        stream.write(Prompts().to_json())
    done("instructions", {"train": 1, "valid": 1}, {"tasks": ["next"]}, "codes")

    model.write_model(place_of(store, "model"), settings, tensors, {"config.json": b'{"model_type": "t"}'})
    done("model", {}, settings, "codes")

    at = place_of(store, "baseline")
    baseline.write_baseline(at, {"kind": "toy"}, {"decay": 0.5}, tensors)
    write_json(at, "metrics.json", FIGURES)
    write_table(at, "ranks-toy", 0, RANKS)
    done("baseline", {}, {"baseline": {"kind": "toy"}}, "catalog")

    at = place_of(store, "metrics")
    metrics.write_metrics(at, FIGURES, {"toy": {"allowed": {"HR@10": {"difference": 0.1, "p": 0.5}}}})
    metrics.write_ranks(at, "toy", RANKS)
    done("metrics", {"samples": 2, "cutoffs": [10]}, {"method": "toy", "baselines": []}, "catalog")


def _catalog(place: Place) -> list[Any]:
    read = catalog.Catalog.read(place)
    return [
        read.num_items,
        read.num_users,
        read.history_length,
        read.item_ids,
        read.titles,
        read.user_ids,
        read.user,
        read.item,
        read.timestamp,
        read.split,
        read.offsets,
    ]


def _embeddings(place: Place) -> list[Any]:
    read = embeddings.Embeddings.read(place)
    return [read.width, read.has_states, read.pooled(), *read.shards.read_ragged("states", np.arange(len(read.shards)))]


def _graph(place: Place) -> list[Any]:
    read = graph.Graph.read(place)
    return [read.num_layers, read.width, read.layers(), read.degree(), read.users.read("vector")]


def _fused(place: Place) -> list[Any]:
    read = fused.Fused.read(place)
    return [read.width, read.vectors(), read.text_only()]


def _joint(place: Place) -> list[Any]:
    read = joint.Joint.read(place)
    half = model.Model(place, read.record)
    return [read.sizes, read.codes, half.backbone(), [(n, t.tolist()) for n, t in sorted(half.weights().items())]]


def _codes(place: Place) -> list[Any]:
    read = codes.Codes.read(place)
    return [read.sizes, read.codes, read.find((0, 1)), read.extends, read.extension, read_json(place, "quality.json")]


def _sequences(place: Place) -> list[Any]:
    read = samples.Sequences.read(place)
    return [value for split in ("train", "valid", "test") for value in (read.num_samples(split), read.table(split))]


def _keywords(place: Place) -> list[Any]:
    read = keywords.Keywords.read(place)
    return [read.tokens, read.level, read.code, read.coverage, read.descriptions, read.words]


def _instructions(place: Place) -> list[Any]:
    read = instructions.Instructions.read(place)
    return [
        read.tasks,
        read.prompts(),
        *(v for split in ("train", "valid") for v in (read.num_rows(split), read.table(split))),
    ]


def _model(place: Place) -> list[Any]:
    read = model.Model.read(place, codes.Codes.read(place_of(Store(place.parent.parent.parent), "codes")))
    tensors = sorted(read.weights().items())
    return [read.backbone(), read.files(), [(name, tensor.tolist()) for name, tensor in tensors]]


def _baseline(place: Place) -> list[Any]:
    read = baseline.Baseline.read(place)
    tensors = [(name, tensor.tolist()) for name, tensor in sorted(read.weights().items())]
    return [read.method, read.settings(), read.chosen(), tensors, read.results(), read.ranks()]


def _metrics(place: Place) -> list[Any]:
    read = metrics.Metrics.read(place)
    return [read.results(), read.comparisons(), read.ranks("toy")]


READERS: Mapping[str, Callable[[Place], list[Any]]] = {
    "catalog": _catalog,
    "embeddings": _embeddings,
    "graph": _graph,
    "fused": _fused,
    "joint": _joint,
    "codes": _codes,
    "keywords": _keywords,
    "sequences": _sequences,
    "instructions": _instructions,
    "model": _model,
    "baseline": _baseline,
    "metrics": _metrics,
}


def read(store: Store, noun: str) -> list[Any]:
    """All that is read of an artifact, as plain values that can be compared."""
    place = place_of(store, noun)
    return [_plain(value) for value in (*READERS[noun](place), curve.read_curve(place))]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tolist()
    if isinstance(value, pa.Table):
        return value.to_pydict()
    return value.to_pylist() if isinstance(value, pa.Array) else value


def complete(
    place: Place,
    noun: str,
    counts: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> Record:
    """Write the record of what lies at a place."""
    record = Record(
        address=f"{noun}/t/1",
        config=dict(config or {}),
        inputs=dict(inputs or {}),
        counts=dict(counts or {}),
        files=place.sizes(),
    )
    write_record(place, record)
    return record
