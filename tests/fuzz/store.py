"""A small store: one artifact of every noun, and a recommender that answers, with its index and catalog."""

import dataclasses
from typing import Any

import numpy as np
import torch

from tests.artifacts import artifacts
from tests.backbones.models import index_of
from tests.recommenders import TINY, N
from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import write_model
from unisid.artifacts.record import RECORD, require, require_input, write_record
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.config import to_record
from unisid.serving.recommender import Recommender

SERVED = ("catalog", "codes", "model")
HELD = tuple((noun, "t") for noun in NOUNS) + tuple((noun, "ring") for noun in SERVED)
"""Noun and name of everything in it."""


def place_of(store: Store, noun: str, name: str) -> Place:
    return store.place(Address(noun, name, "1"))


def write(store: Store) -> None:
    """Fill a store."""
    artifacts.write(store)
    catalog, index, model = (place_of(store, noun, "ring") for noun in SERVED)
    ring.write_catalog(catalog, ring.walks(12, N), N)
    ring.write_index(index, N)
    ring.record(index, "codes", {}, {"sizes": list(ring.SIZES)}, ring.entry(catalog, "catalog"))
    torch.manual_seed(0)
    write_model(model, to_record(TINY), TINY.build(index_of(ring.SIZES)).weights())
    ring.record(model, "model", to_record(TINY), {}, ring.entry(index, "codes"))
    for noun, place in zip(SERVED, (catalog, index, model), strict=True):  # with its files, as a run writes it
        record = require(place, noun)
        place.remove(RECORD)
        write_record(place, dataclasses.replace(record, files=place.sizes()))


def read(store: Store, noun: str, name: str) -> list[Any]:
    """All that is read of an artifact; of one that serves, what it answers."""
    if name == "t":
        return artifacts.read(store, noun)
    places = [place_of(store, wanted, name) for wanted in ("model", "codes", "catalog")]
    require_input(store, Codes.read(places[1]).record, "catalog")
    served = Recommender.load(*places, torch.device("cpu"))
    items, scores = served.rank([np.array([1, 2]), np.array([7])], N)
    return [items.tolist(), scores.tolist()]
