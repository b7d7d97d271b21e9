"""A package of an index that a whole flow made: what fused its vectors travels along, and new items need no store."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.versions import shop
from tests.versions.test_modalities import UQF, images
from unisid.artifacts.codes import Codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.record import require
from unisid.artifacts.store import Place, Store
from unisid.encoders import vectors
from unisid.exchange import reader
from unisid.exchange.indexes import export_codes
from unisid.stages import embeddings, fused
from unisid.training.loop import Training

FUSION = ("fusion.json", "fusion.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The small shop with images and a fusion that learned; its store, its recipe, all places, and its package."""
    folder = tmp_path_factory.mktemp("packaged")
    base = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder), unique="append")
    image = embeddings.Config(
        encoder=vectors.Config(path=images(folder, shop.ITEMS)), keep_states=False, tokenize=shop.INSIDE, pool=shop.INSIDE
    )
    learned = replace(base.fused, fusion=UQF, num_neighbours=5, batch_size=16, training=Training(epochs=1))
    recipe, store = replace(base, modalities={"image": image}, fused=learned), Store(Place.of(folder / "store"))
    places = shop.make(recipe, store)
    manifest = export_codes(Codes.read(places["codes"]), store, str(folder / "package"))
    return folder, store, recipe, places, manifest


def test_the_fusion_travels_along_as_it_was_learned(made):
    folder, _, _, places, manifest = made
    assert set(FUSION) <= set(manifest["files"])
    assert (folder / "package" / FUSION[0]).read_bytes() == places["fused"].read("fusion.json")
    held = load_file(folder / "package" / FUSION[1])
    fusion = fused.load(places["fused"])
    assert len(held) == len(fusion.state_dict()) > 10
    assert all(torch.equal(held[name], own) for name, own in fusion.state_dict().items())
    record = require(places["fused"], "fused")
    assert manifest["fusion"] == {
        "address": "fused/shop/1",
        "fingerprint": record.fingerprint,
        "graph_layers": Graph.read(places["graph"]).num_layers,
    }


def test_every_encoder_is_named_with_how_it_reads(made):
    folder, _, recipe, places, manifest = made
    assert set(manifest["encoders"]) == {"embeddings", "embeddings.image"}
    text, image = manifest["encoders"]["embeddings"], manifest["encoders"]["embeddings.image"]
    assert text["settings"]["kind"] == "hashing"
    assert text["settings"]["width"] == recipe.embeddings.encoder.width
    assert text["reading"] == {"max_tokens": 8, "pooling": "mean", "normalise": None, "keep_states": True}
    source = require(places["embeddings.image"], "embeddings").inputs["encoder"]
    assert image["address"] == source["address"] == str(folder / "images.parquet")
    assert image["fingerprint"] == source["fingerprint"]
    assert image["reading"]["keep_states"] is False
