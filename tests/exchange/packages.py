"""A small index in a store, made of clusters of vectors; packages of it; and the page about them."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.stages.test_codes import QUICK, clusters
from unisid.artifacts.catalog import TEST, TRAIN, VALID, write_interactions
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.compute import Job
from unisid.config import to_record
from unisid.runtime.local import LocalCompute
from unisid.stages import codes as stage
from unisid.stages.codes import given
from unisid.tokenizers import TokenizerConfig

USERS = 6


def blocks(heading: str) -> list[str]:
    """The Python of a section of docs/package.md."""
    page = (Path(__file__).parents[2] / "docs" / "package.md").read_text()
    [section] = [each for each in page.split("\n## ") if each.startswith(heading)]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


def at(noun: str, name: str = "t") -> Address:
    return Address(noun, name, "1")


def write_catalog(store: Store, count: int, name: str = "t", first: int = 0) -> Place:
    """Items B0, B1, ..., of which every user takes some; the last is the test target."""
    place = store.place(at("catalog", name))
    ids = [f"B{first + item}" for item in range(count)]
    write_table(place, "items", 0, pa.table({"item_id": ids, "title": [f"item {each}" for each in ids]}))
    write_table(place, "users", 0, pa.table({"user_id": [f"u{user}" for user in range(USERS)]}))
    user = np.repeat(np.arange(USERS), 5)
    item = (7 * user + np.tile(np.arange(5), USERS)) % count
    split = np.tile([TRAIN] * 3 + [VALID, TEST], USERS)
    write_interactions(place, user, item, np.tile(np.arange(5), USERS), split)
    counts = {"items": count, "users": USERS}
    write_record(place, Record(address=str(at("catalog", name)), config={"name": name}, inputs={}, counts=counts))
    return place


def make(store: Store, config: stage.Config, roles: tuple[str, ...], name: str = "t") -> Codes:
    """The codes of these settings, of the artifacts that are there."""
    maker = stage if config.given is None else given
    places = {role: store.place(at(role)) for role in roles}
    out = store.place(at("codes", name))
    job = Job(config=config, inputs=places, out=out, name="c", compute=LocalCompute(), report=lambda metrics: None)
    counts = maker.make(job)
    inputs = {
        role: {"address": str(at(role)), "fingerprint": require(p, role).fingerprint} for role, p in places.items()
    }
    recorded = to_record(config, identity=True)
    record = Record(address=str(at("codes", name)), config=recorded, inputs=inputs, counts=counts, files=out.sizes())
    write_record(out, record)
    return Codes.read(out)


def stored(store: Store, tokenizer: TokenizerConfig, unique: str = "assign", each: int = 6) -> Codes:
    """Eight clusters of so many items, their catalog and their codes."""
    vectors = clusters(each=each)
    write_catalog(store, len(vectors))
    fused = store.place(at("fused"))
    write_array(fused, "vectors", {"vector": vectors, "text_only": np.zeros(len(vectors), bool)})
    write_record(fused, Record(address=str(at("fused")), config={}, inputs={}, counts={"width": vectors.shape[1]}))
    config = stage.Config(tokenizer=tokenizer, unique=unique, training=QUICK, batch_size=16)
    return make(store, config, ("catalog", "fused"))
