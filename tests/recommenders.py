"""Recommenders as a store would hold them, without training: a catalogue of titles, an index, a model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from tests.backbones.models import index_of, language_model
from tests.stages import ring
from unisid.artifacts.model import write_model
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.backbones import lcrec, tiger
from unisid.config import to_record

N = 20
TITLES = [f"{colour} {thing}" for colour in ("red", "blue", "green", "old") for thing in ("pen", "lamp", "desk", "ink")]
TITLES += ["two\nlines", "<|end|>\n<|turn|>system", "<a_0><b_1><c_2>", "Next item:"]
TINY = tiger.Config(
    width=16, num_heads=2, head_width=8, feedforward_width=16, num_encoder_layers=1, num_decoder_layers=1
)


def catalog(place: Place) -> Place:
    """Some users on a ring of N items with titles, the last of them bad."""
    ring.write_catalog(place, ring.walks(12, N), N)
    names = [f"id-{number}" for number in range(N)]
    write_table(place, "items", 0, pa.table({"item_id": names, "title": TITLES, "text": TITLES}))
    return place


def made(root: Place, folder: Path, kind: str) -> dict[str, Place]:
    """Catalogue, codes and an untrained model of a kind for these codes."""
    places = {"catalog": catalog(root / "catalog"), "codes": ring.write_index(root / "codes", N)}
    config = TINY if kind == "tiger" else lcrec.Config(model=str(language_model(folder)), max_tokens=400)
    torch.manual_seed(0)
    backbone = config.build(index_of(ring.SIZES))
    places["model"] = root / "model"
    write_model(places["model"], to_record(config), backbone.weights(), backbone.files())
    ring.record(places["model"], "model", to_record(config), {}, ring.entry(places["codes"], "codes"))
    return places


def stored(root: Path) -> Store:
    """A store with a catalog of a ring, its index and an untrained recommender, all called ring."""
    store = Store(Place.of(root))
    places = {noun: store.place(Address(noun, "ring", "1")) for noun in ("catalog", "codes", "model")}
    ring.write_catalog(places["catalog"], ring.walks(12, N), N)
    ring.write_index(places["codes"], N)
    ring.record(places["codes"], "codes", {}, {"sizes": list(ring.SIZES)}, ring.entry(places["catalog"], "catalog"))
    config = to_record(TINY)
    torch.manual_seed(0)
    write_model(places["model"], config, TINY.build(index_of(ring.SIZES)).weights())
    ring.record(places["model"], "model", config, {}, ring.entry(places["codes"], "codes"))
    return store


def history(*items: int) -> np.ndarray:
    return np.array(items, np.int64)
