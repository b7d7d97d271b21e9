"""A pair of an untrained recommender and a shop of 20 items, with a table of facts about them; no training."""

import functools

import pyarrow as pa
import torch
from mlflow import MlflowClient

from tests.backbones.models import index_of
from tests.recommenders import TINY, N, catalog, made
from tests.stages import ring
from unisid.artifacts.model import write_model
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.config import to_record
from unisid.runtime import registry
from unisid.serving.columns import Columns
from unisid.serving.pair import Pair

COLOURS = ["red", "blue", "green", "old"]
TABLE = pa.table(
    {
        "item_id": [f"id-{number}" for number in range(N)],
        "colour": [COLOURS[number // 4 % 4] for number in range(N)],
        "price": [float(number) for number in range(N)],
        "stock": [number % 3 != 0 for number in range(N)],
    }
)
PARTITIONS = {"cheap": "price < 8", "in-stock": "stock"}


def load(places: dict[str, Place], table: pa.Table | None = TABLE) -> Pair:
    partitions = PARTITIONS if table is not None else {}
    columns = functools.partial(Columns.of, table=table)
    return Pair.load(places["model"], places["codes"], places["catalog"], columns, partitions)


def pair(folder) -> Pair:
    return load(made(Place.of(folder), folder / "language", "tiger"))


def ids(*items: int) -> list[str]:
    return [f"id-{item}" for item in items]


def store(folder, *versions: int) -> Store:
    """A store with such versions of an index of 20 items and an untrained recommender of each."""
    found = Store(Place.of(folder))
    shared = catalog(found.place(Address.parse("catalog/ring/1")))
    for version in versions:
        codes = ring.write_index(found.place(Address("codes", "ring", str(version))), N, seed=version)
        record(codes, "codes", version, {"sizes": list(ring.SIZES)}, ring.entry(shared, "catalog"))
        torch.manual_seed(version)
        backbone = TINY.build(index_of(ring.SIZES))
        model = found.place(Address("model", "ring", str(version)))
        write_model(model, to_record(TINY), backbone.weights(), backbone.files())
        record(model, "model", version, {}, ring.entry(codes, "codes"))
    return found


def record(place: Place, noun: str, version: int, counts: dict, inputs: dict) -> None:
    config = to_record(TINY) if noun == "model" else {"seed": version}
    write_record(place, Record(address=f"{noun}/ring/{version}", config=config, inputs=inputs, counts=counts))


def registered(client: MlflowClient, experiment: str, found: Store, version: int) -> tuple[str, str]:
    """Register a version's index and recommender under 'shop'; returns their versions in the registry."""
    places = {noun: found.place(Address(noun, "ring", str(version))) for noun in ("codes", "model")}
    places["catalog"] = found.place(Address.parse("catalog/ring/1"))
    run = client.create_run(experiment).info.run_id
    list(registry.register(client, run, "shop", places))
    held = ({noun: require(places[noun], noun) for noun in names} for names in (registry.INDEX, registry.RECOMMENDER))
    names = (registry.index_of("shop"), registry.recommender_of("shop"))
    return tuple(str(registry.version_of(client, name, of)) for name, of in zip(names, held, strict=True))
