"""A small complete run for tests of reports: catalog, fused, codes and metrics whose figures are made up."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.codes import write_codes
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import write_json
from unisid.evaluation.index import describe

SIZES = (16, 16, 64)
METHODS = {"uqf-tiger": 0.12, "popularity": 0.05, "itemknn": 0.1}
CUTOFFS = (1, 5, 10, 20)


def write_run(place: Place, titles: Sequence[str], seed: int = 0) -> dict[str, Place]:
    """Artifacts at `place`; returns them by noun."""
    places = {noun: place / noun / "demo" / "1" for noun in ("catalog", "fused", "codes", "metrics")}
    rng = np.random.default_rng(seed)
    n = len(titles)
    write_table(places["catalog"], "items", 0, pa.table({"item_id": [f"i{i}" for i in range(n)], "title": titles}))
    _complete(places, "catalog", {"history_length": 20}, {"items": n, "users": 100, "interactions": 1234}, seconds=1.5)

    space = rng.permutation(np.prod(SIZES))[:n]
    codes = np.stack(np.unravel_index(space, SIZES), 1)
    centres = rng.normal(size=(SIZES[0], 8)) * 3
    write_array(places["fused"], "vectors", {"vector": (centres[codes[:, 0]] + rng.normal(size=(n, 8))).astype("f4")})
    steps = list(range(0, 50, 5)) * 2
    names = ["loss"] * 10 + ["valid_score"] * 10
    values = [*(3 * 0.9**s + 0.1 for s in range(10)), *(0.5 + 0.03 * s for s in range(10))]
    with places["fused"].writing("curve.parquet") as stream:
        pq.write_table(pa.table({"step": steps, "name": names, "value": values}), stream)
    _complete(places, "fused", {"fusion": {"kind": "uqf", "width": 8}}, {"items": n, "width": 8}, inputs=["catalog"])

    write_codes(places["codes"], codes, SIZES)
    quality = describe(codes.astype(np.int32), SIZES) | {"embedding_hit_rate": 0.125}
    counts = {"items": n, "sizes": list(SIZES), "quality": quality}
    _complete(places, "codes", {"tokenizer": {"kind": "rqvae", "levels": 3}}, counts, inputs=["catalog", "fused"])

    write_json(
        places["metrics"], "metrics.json", {m: dict.fromkeys(HISTORY_RULES, _means(s)) for m, s in METHODS.items()}
    )
    test = {"difference": 0.02, "low": 0.01, "high": 0.03, "p": 0.004, "cohens_d": 0.11}
    tests = dict.fromkeys(HISTORY_RULES, dict.fromkeys(_means(0.1), test))
    write_json(places["metrics"], "comparisons.json", {"popularity": tests, "itemknn": tests})
    settings = {"method": "uqf-tiger", "baselines": ["popularity", "itemknn"], "beam": 50}
    _complete(places, "metrics", settings, {"samples": 943, "cutoffs": list(CUTOFFS)}, inputs=["catalog", "codes"])
    return places


def _means(scale: float) -> dict[str, dict[str, float]]:
    curve = {f"{m}@{k}": scale * k**0.4 * w for m, w in (("HR", 1.0), ("NDCG", 0.6), ("MRR", 0.5)) for k in CUTOFFS}
    return {name: {"mean": v, "low": 0.85 * v, "high": 1.15 * v} for name, v in curve.items()}


def _complete(
    places: dict[str, Place],
    noun: str,
    config: dict[str, object],
    counts: dict[str, object],
    inputs: Sequence[str] = (),
    seconds: float = 12.3,
) -> None:
    given = {i: {"address": f"{i}/demo/1", "fingerprint": "ab12" * 16} for i in inputs}
    record = Record(
        address=f"{noun}/demo/1",
        config=config,
        inputs=given,
        counts=counts,
        seconds=seconds,
        files=places[noun].sizes(),
        created="2026-01-02T03:04:05+00:00",
        runtime={"batch": 2},
    )
    write_record(places[noun], record)
