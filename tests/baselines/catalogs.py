"""Small complete catalogs for tests: leave-one-out over given baskets."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from unisid.artifacts.catalog import TEST, TRAIN, VALID, Catalog, write_interactions
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table


def write_catalog(place: Place, baskets: Sequence[Sequence[int]], num_items: int, history_length: int = 20) -> Catalog:
    """Each basket is one user's items, oldest first; the last is the test target, the one before it validation's."""
    lengths = [len(basket) for basket in baskets]
    split = np.concatenate([[TRAIN] * (n - 2) + [VALID, TEST] for n in lengths])
    user, item = np.repeat(np.arange(len(baskets)), lengths), np.concatenate(baskets)
    write_interactions(place, user, item, np.arange(len(item)), split)
    names = [f"i{n}" for n in range(num_items)]
    write_table(place, "items", 0, pa.table({"item_id": names, "title": [f"Item {n}" for n in range(num_items)]}))
    write_table(place, "users", 0, pa.table({"user_id": [f"u{n}" for n in range(len(baskets))]}))
    counts = {"items": num_items, "users": len(baskets), "interactions": len(item)}
    config = {"history_length": history_length}
    write_record(place, Record(address="catalog/small/1", config=config, inputs={}, counts=counts))
    return Catalog.read(place)


def random_baskets(num_users: int, num_items: int, seed: int) -> list[list[int]]:
    """Users who stay within one half of the items, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    half = num_items // 2
    return [
        (rng.choice(half, size=rng.integers(4, min(9, half)), replace=False) + half * (u % 2)).tolist()
        for u in range(num_users)
    ]
