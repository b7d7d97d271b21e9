"""A small world made by hand: items on a ring, users who walk along it, and the artifacts that say so."""

import numpy as np
import pyarrow as pa

from unisid.artifacts.catalog import TEST, TRAIN, VALID, write_interactions
from unisid.artifacts.codes import write_codes
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Compute, Job

SIZES = (5, 4, 3)
HISTORY = 6


def walks(num_users: int, num_items: int, seed: int = 0) -> list[list[int]]:
    """Each user's items: steps of 1 or 2 along the ring, from 3 to 12 of them."""
    rng = np.random.default_rng(seed)
    return [
        ((rng.integers(num_items) + np.cumsum(np.full(rng.integers(3, 13), rng.integers(1, 3)))) % num_items).tolist()
        for _ in range(num_users)
    ]


def leave_one_out(length: int) -> list[int]:
    """Labels of a user's interactions."""
    return [TRAIN] * (length - 2) + [VALID, TEST][-length:]


def record(place: Place, noun: str, config: dict, counts: dict, inputs: dict | None = None) -> None:
    write_record(place, Record(address=f"{noun}/ring/1", config=config, inputs=inputs or {}, counts=counts))


def entry(place: Place, noun: str) -> dict:
    """What a record says of an input."""
    from unisid.artifacts.record import require

    made = require(place, noun)
    return {noun: {"address": made.address, "fingerprint": made.fingerprint}}


def write_catalog(place: Place, users: list[list[int]], num_items: int, labels: list[list[int]] | None = None) -> Place:
    labels = labels or [leave_one_out(len(items)) for items in users]
    lengths = [len(items) for items in users]
    write_interactions(
        place,
        np.repeat(np.arange(len(users)), lengths),
        np.concatenate(users),
        np.arange(sum(lengths)),
        np.concatenate(labels),
    )
    names = [f"item {number}" for number in range(num_items)]
    write_table(place, "items", 0, pa.table({"item_id": names, "title": names, "text": names}))
    write_table(place, "users", 0, pa.table({"user_id": [str(u) for u in range(len(users))]}))
    record(place, "catalog", {"history_length": HISTORY}, {"items": num_items, "users": len(users)})
    return place


def write_index(place: Place, num_items: int, seed: int = 3) -> Place:
    chosen = np.random.default_rng(seed).permutation(np.prod(SIZES))[:num_items]
    write_codes(place, np.stack(np.unravel_index(chosen, SIZES), axis=1), SIZES)
    record(place, "codes", {"seed": seed}, {"sizes": list(SIZES)})
    return place


def job(
    config: object,
    inputs: dict[str, Place],
    out: Place,
    compute: Compute,
    said: list | None = None,
    judged: list | None = None,
) -> Job:
    """`said` is given what is reported, `judged` what decides the best epoch."""
    figures, scores = (given if given is not None else [] for given in (said, judged))
    return Job(
        config=config,
        inputs=inputs,
        out=out,
        name=out.name,
        compute=compute,
        report=figures.append,
        judged_by=scores.append,
    )
