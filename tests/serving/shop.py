"""A pair of an untrained recommender and a shop of 20 items, with a table of facts about them; no training."""

import pyarrow as pa

from tests.recommenders import N, made
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.serving.columns import Columns
from unisid.serving.pair import Pair

COLOURS = ["red", "blue", "green", "old"]
TABLE = pa.table({
    "item_id": [f"id-{number}" for number in range(N)],
    "colour": [COLOURS[number // 4 % 4] for number in range(N)],
    "price": [float(number) for number in range(N)],
    "stock": [number % 3 != 0 for number in range(N)],
})  # fmt: skip
PARTITIONS = {"cheap": "price < 8", "in-stock": "stock"}


def load(places: dict[str, Place], table: pa.Table | None = TABLE) -> Pair:
    columns = Columns.of(Catalog.read(places["catalog"]), table)
    partitions = PARTITIONS if table is not None else {}
    return Pair.load(places["model"], places["codes"], places["catalog"], columns, partitions)


def pair(folder) -> Pair:
    return load(made(Place.of(folder), folder / "language", "tiger"))


def ids(*items: int) -> list[str]:
    return [f"id-{item}" for item in items]
