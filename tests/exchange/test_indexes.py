"""A package of an index that a whole flow made: what fused its vectors travels along, and new items need no store."""

import json
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.exchange import packages
from tests.exchange.test_reader import alone
from tests.versions import shop
from tests.versions.test_modalities import UQF, images
from unisid.artifacts.codes import Codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import read_table
from unisid.encoders import vectors
from unisid.errors import ConfigError, DataError
from unisid.exchange import reader
from unisid.exchange.indexes import export_codes
from unisid.fusion import concat, shrinkage
from unisid.ops.semantic_ids import spell_all
from unisid.stages import embeddings, fused
from unisid.stages.embeddings.encode import encode
from unisid.stages.fused import packaged
from unisid.stages.fused.packaged import vectors_of
from unisid.training.loop import Training
from unisid.versions.extend import extended

FUSION = ("fusion.json", "fusion.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The small shop with images and a fusion that learned; its store, its recipe, all places, and its package."""
    folder = tmp_path_factory.mktemp("packaged")
    base = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder), unique="append")
    image = embeddings.Config(
        encoder=vectors.Config(path=images(folder, shop.ITEMS)),
        keep_states=False,
        tokenize=shop.INSIDE,
        pool=shop.INSIDE,
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


def new_images(count: int) -> np.ndarray:
    """The vectors of the items after the shop's, as `images` writes them; zero where an item has none."""
    numbers = range(shop.ITEMS, shop.ITEMS + count)
    rows = [np.random.default_rng(n).normal(size=6) * bool(n % 10) for n in numbers]
    return np.array(rows, np.float32)


def new_items() -> dict:
    """What is known of the shop's new items: their texts and images."""
    texts = [shop.title(number) for number in range(shop.ITEMS, shop.ITEMS + shop.NEW)]
    return {"text": texts, "image": new_images(shop.NEW)}


@pytest.fixture(scope="module")
def grown(made):
    """The places of a version of the index that has the new items."""
    folder, store, recipe, _, _ = made
    count = shop.ITEMS + shop.NEW
    image = replace(recipe.modalities["image"].encoder, path=images(folder, count, "more.parquet"))
    dataset = replace(recipe.catalog.dataset, items=shop.items(folder, count, "more-items"))
    wanted = replace(
        recipe,
        catalog=replace(recipe.catalog, dataset=dataset, keep_cold_items=True),
        modalities={"image": replace(recipe.modalities["image"], encoder=image)},
    )
    return shop.make(extended(wanted, store, shop.at("codes"), "2"), store)


def test_a_new_items_text_leads_to_the_codes_of_an_extension(made, grown):
    """By the package alone: encoder, fusion, reader; the order of the new items is the catalog's own."""
    folder = str(made[0] / "package")
    ids = shop.catalog_ids(grown["catalog"])[shop.ITEMS :].to_pylist()
    order = [int(item[1:]) - shop.ITEMS for item in ids]
    found = vectors_of(folder, new_items())[order]
    own = Fused.read(grown["fused"]).vectors(np.arange(shop.ITEMS, shop.ITEMS + shop.NEW))
    np.testing.assert_allclose(found, own, atol=1e-5)
    codes = reader.Package(folder).encode(found)
    added = read_table(grown["codes"], "added")
    assert [f"{sid}<d_0>" for sid in spell_all(codes)] == added["nearest"].to_pylist()
    assert added["item_id"].to_pylist() == ids


def test_the_references_of_a_fusion_travel_along(made, tmp_path):
    """What alike items tell of a new one is the same by the package and by an extension."""
    _, store, recipe, _, _ = made
    fusion = shrinkage.Config(num_neighbours=3)
    told = replace(recipe, name="told", modalities={}, fused=replace(recipe.fused, fusion=fusion))
    manifest = export_codes(Codes.read(shop.make(told, store)["codes"]), store, str(tmp_path / "package"))
    assert "fusion.safetensors" in manifest["files"]
    dataset = replace(told.catalog.dataset, items=shop.items(tmp_path, shop.ITEMS + shop.NEW))
    wanted = replace(told, catalog=replace(told.catalog, dataset=dataset, keep_cold_items=True))
    places = shop.make(extended(wanted, store, Address("codes", "told", "1"), "2"), store)
    ids = shop.catalog_ids(places["catalog"])[shop.ITEMS :].to_pylist()
    own = Fused.read(places["fused"]).vectors(np.arange(shop.ITEMS, shop.ITEMS + shop.NEW))
    found = vectors_of(str(tmp_path / "package"), {"text": [shop.title(int(item[1:])) for item in ids]})
    np.testing.assert_allclose(found, own, atol=1e-5)
    assert (np.linalg.norm(found[:, -8:], axis=1) > 0.99).all(), "the part of the graph, told by alike items"


def test_a_modality_may_be_given_as_vectors(made):
    folder = str(made[0] / "package")
    texts = new_items()
    assert np.array_equal(
        vectors_of(folder, texts), vectors_of(folder, {**texts, "image": texts["image"].astype("f8")})
    )
    assert vectors_of(folder, {"text": [], "image": np.zeros((0, 6), np.float32)}).shape == (0, 16)


def test_token_states_of_one_piece_of_the_items_are_held_at_a_time(made, monkeypatch):
    """The vectors are those of all at once: the shop's encoder reads every text by itself."""
    folder, texts, held, counts = str(made[0] / "package"), new_items(), [], []

    def counting(encoder, tokens, *args, **settings):
        assert not [states for states in held if states() is not None], "states of an earlier piece"
        encoded = encode(encoder, tokens, *args, **settings)
        held.append(weakref.ref(encoded.states))
        counts.append(len(tokens.lengths))
        return encoded

    monkeypatch.setattr(packaged, "ROWS", 2)
    whole = vectors_of(folder, texts)
    monkeypatch.setattr(packaged, "PIECE", 4)
    monkeypatch.setattr(embeddings, "encode", counting)
    assert np.array_equal(vectors_of(folder, texts), whole)
    assert max(counts) == 4
    assert sum(counts) == len(whole) > 8


def test_the_lines_of_the_documentation_lead_from_texts_to_codes(made, tmp_path, monkeypatch):
    """A fusion that learned no weights: with unisid from texts, and by numpy alone from their vectors."""
    _, store, recipe, _, _ = made
    plain = replace(recipe, name="plain", modalities={}, fused=replace(recipe.fused, fusion=concat.Config()))
    monkeypatch.chdir(tmp_path)
    export_codes(Codes.read(shop.make(plain, store)["codes"]), store, "package")
    from_texts, from_vectors = packages.blocks("A new item")
    scope: dict = {}
    exec(from_texts, scope)
    found = vectors_of("package", {"text": scope["texts"]})
    assert not found[:, 64:].any()  # of the graph
    np.save("vectors.npy", 3 * found[:, :64])
    printed = alone(tmp_path / "package", from_vectors + "\nprint(codes.tolist())", tmp_path)
    assert json.loads(printed) == scope["codes"].tolist()
    assert len({tuple(codes) for codes in scope["codes"].tolist()}) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": ["a pen"]}, "modality 'image' of 0 items, 1 are given; must have text, image, each of all of them"),
        ({"text": ["a"], "image": np.zeros((2, 6))}, "modality 'image' of 2 items, 1 are given"),
        ({"text": ["a"], "image": np.zeros((1, 5))}, "modality 'image' is 5 wide; must be 6"),
        ({"text": ["a"], "image": ["i3"]}, "the encoder 'vectors' of 'image' reads no text; give vectors"),
    ],
    ids=["missing", "of others", "narrow", "no text"],
)
def test_modalities_that_do_not_fit_are_refused(made, given, message):
    with pytest.raises(ConfigError, match=message):
        vectors_of(str(made[0] / "package"), given)


def changed(made, to, change) -> str:
    """A copy of the package with another manifest."""
    shutil.copytree(made[0] / "package", to)
    manifest = json.loads((to / "manifest.json").read_text())
    change(manifest)
    (to / "manifest.json").write_text(json.dumps(manifest))
    return str(to)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m: m["encoders"]["embeddings"].update(fingerprint="0" * 64),
            ConfigError,
            "000000000000, which here has",
        ),
        (
            lambda m: m["encoders"]["embeddings"].pop("reading"),
            ConfigError,
            "does not say how the texts of 'text' were",
        ),
        (lambda m: m["files"].pop("fusion.json"), DataError, "holds no fusion.json: its ids came from elsewhere"),
        (lambda m: m.update(version=2), DataError, "is of version 2"),
    ],
    ids=["another encoder", "older", "no fusion", "newer"],
)
def test_packages_that_cannot_be_read_further_are_refused(made, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        vectors_of(changed(made, tmp_path / "p", change), new_items())


def test_a_fusion_that_learned_is_none_for_numpy_alone(made):
    texts = {"text": np.zeros((1, 64)), "image": np.zeros((1, 6))}
    with pytest.raises(
        reader.PackageError, match="the fusion 'uqf' learned its weights, which numpy alone does not read"
    ):
        reader.Package(str(made[0] / "package")).fuse(texts)
