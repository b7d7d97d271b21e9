"""Recipes with further embeddings: made, shared, extended, made again, refused by name."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.versions import shop
from unisid.artifacts import lease
from unisid.artifacts.codes import Codes
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import Fused
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.config import from_record, override, to_record
from unisid.encoders import hashing, vectors
from unisid.errors import BusyError, ConfigError
from unisid.fusion import concat, single, uqf
from unisid.pipeline import Recipe, drop, plan
from unisid.planning import missing
from unisid.recipes import configure
from unisid.report.tables import plan_tree
from unisid.reproduce import reproduce
from unisid.runtime.local import LocalCompute
from unisid.stages import embeddings
from unisid.training.loop import Training
from unisid.versions.extend import extended

UQF = uqf.Config(num_queries=2, width=8, output_width=16, num_layers=1, num_heads=2)


def images(folder, count: int, name: str = "images.parquet") -> str:
    """A vector for every item but each tenth; the same for the same item in every file."""
    some = [number for number in range(count) if number % 10]
    rows = [np.random.default_rng(number).normal(size=6).astype(np.float32) for number in some]
    pq.write_table(pa.table({"item_id": [f"i{n}" for n in some], "vector": rows}), folder / name)
    return str(folder / name)


def several(recipe: Recipe, image: str, **more) -> Recipe:
    """The shop's recipe with a second encoder of its texts, and images."""
    own = {"shard_rows": 32, "tokenize": shop.INSIDE, "pool": shop.INSIDE}
    modalities = {
        "image": embeddings.Config(encoder=vectors.Config(path=image), keep_states=False, **own),
        "brief": embeddings.Config(encoder=hashing.Config(width=12, seed=3), max_tokens=2, **own),
    }
    return replace(recipe, modalities=modalities, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a whole run of the small shop with four modalities."""
    folder = tmp_path_factory.mktemp("modalities")
    base = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    learned = replace(base.fused, fusion=UQF, num_neighbours=5, batch_size=16, training=Training(epochs=2))
    recipe = several(base, images(folder, shop.ITEMS), fused=learned)
    store = Store(Place.of(folder / "store"))
    places = shop.make(recipe, store, "metrics")
    return folder, store, recipe, places


def test_every_modality_is_an_artifact_of_its_own_and_goes_into_the_vectors(made):
    _, store, recipe, places = made
    record = require(places["fused"], "fused")
    assert set(record.inputs) == {"catalog", "embeddings", "embeddings.brief", "embeddings.image", "graph"}
    assert record.inputs["embeddings.image"]["address"] == "embeddings/shop.image/1"
    assert {str(a) for a in store.addresses("embeddings")} == {
        f"embeddings/{name}/1" for name in ("shop", "shop.image", "shop.brief")
    }
    image = Embeddings.read(places["embeddings.image"])
    assert image.record.counts["empty"] == 6
    ids = [item.as_py() for item in shop.catalog_ids(places["catalog"])]
    lacking = [row for row, item in enumerate(ids) if int(item[1:]) % 10 == 0]
    assert np.flatnonzero(~image.pooled().any(1)).tolist() == lacking
    assert Fused.read(places["fused"]).width == 16
    assert "metrics" in places
    assert not missing(plan(recipe, store))


def test_a_change_of_one_modality_makes_no_other_anew(made, tmp_path):
    folder, store, recipe, _ = made
    other = several(recipe, images(folder, 30, "fewer.parquet"), name="fewer")
    states = {entry.noun: entry.state for entry in plan(other, store, "fused")}
    assert states == {
        "catalog": "shared",
        "embeddings": "shared",
        "embeddings.brief": "shared",
        "graph": "shared",
        "embeddings.image": "to make",
        "fused": "to make",
    }
    assert "from catalog, embeddings, embeddings.brief, embeddings.image, graph" in plan_tree(plan(recipe, store))


def test_one_encoders_embeddings_are_shared_whatever_their_name(made):
    _, store, recipe, _ = made
    renamed = replace(recipe, name="renamed", modalities={"short": recipe.modalities["brief"]})
    entry = {entry.noun: entry for entry in plan(renamed, store, "fused")}["embeddings.short"]
    assert (entry.state, str(entry.address)) == ("shared", "embeddings/shop.brief/1")
    first = replace(recipe, name="first", embeddings=recipe.modalities["brief"], modalities={})
    assert plan(first, store, "embeddings")[-1].state == "shared"


def test_the_order_of_names_changes_no_plan(made):
    _, store, recipe, _ = made
    turned = replace(recipe, modalities=dict(reversed(recipe.modalities.items())))
    assert plan(turned, store) == plan(recipe, store)


def test_a_recipe_without_further_modalities_has_the_fingerprints_it_had(made):
    _, store, recipe, _ = made
    plain = replace(recipe, modalities={})
    entry = {entry.noun: entry for entry in plan(plain, store, "fused")}["fused"]
    assert set(entry.inputs) == {"catalog", "embeddings", "graph"}
    assert not {"base", "dropout", "reconstruction"} & (set(entry.config) | set(entry.config["loss"]))


def test_settings_have_dotted_keys_and_go_through_records_and_words(made):
    _, _, recipe, _ = made
    assert from_record(Recipe, to_record(recipe)) == recipe
    words = ["--modalities.brief.max_tokens", "3", "--modalities.image.encoder", "hashing"]
    words += ["--fused.loss.dropout.image", "0.4"]
    found = configure(recipe, words)
    assert found.modalities["brief"].max_tokens == 3
    assert found.modalities["image"].encoder == hashing.Config()
    assert dict(found.fused.loss.dropout) == {"image": 0.4}
    assert configure(recipe, ["--modalities.brief.max-tokens", "3"]).modalities["brief"].max_tokens == 3
    with pytest.raises(ConfigError, match=r"modalities.brif.max_tokens: there is no 'brif'; did you mean 'brief'"):
        override(recipe, "modalities.brif.max_tokens", 3)
    with pytest.raises(ConfigError, match="no setting '--modalities.brif.max_tokens'; did you mean"):
        configure(recipe, ["--modalities.brif.max_tokens", "3"])
    with pytest.raises(ConfigError, match=r"loss.dropout.image: is 1.5; must be at least 0 and at most 1"):
        configure(recipe, ["--fused.loss.dropout.image", "1.5"])


@pytest.mark.parametrize(
    ("name", "message"),
    [("graph", "has the name 'graph'"), ("My image", "has the name 'My image'; must be 1 to 50 small letters")],
)
def test_names_that_cannot_be_are_refused(made, name, message):
    _, _, recipe, _ = made
    with pytest.raises(ConfigError, match=message):
        replace(recipe, modalities={name: recipe.modalities["brief"]})


def test_a_modality_in_use_is_not_dropped(made):
    _, store, _, _ = made
    address = Address.parse("embeddings/shop.image/1")
    owner = lease.Owner(makes={}, reads=[str(address)])
    with (
        lease.holding(store, "shop", "1", owner, lambda other: None),
        pytest.raises(BusyError, match="embeddings/shop.image/1: is in use"),
    ):
        drop(store, address)
    assert store.place(address).exists()


def test_an_index_of_several_modalities_is_extended_and_made_again(made, tmp_path):
    folder, store, recipe, places = made
    table = shop.items(folder, shop.ITEMS + shop.NEW, "more")
    grown = several(recipe, images(folder, shop.ITEMS + shop.NEW, "more-images.parquet"))
    dataset = replace(recipe.catalog.dataset, items=table)
    grown = replace(grown, catalog=replace(recipe.catalog, dataset=dataset, keep_cold_items=True))
    wanted = extended(grown, store, shop.at("codes"), "2")
    after = shop.make(wanted, store)
    old, new = Codes.read(places["codes"]), Codes.read(after["codes"])
    assert np.array_equal(new.codes[: shop.ITEMS], old.codes)
    assert len(np.unique(new.codes, axis=0)) == shop.ITEMS + shop.NEW
    for role in ("embeddings.image", "embeddings.brief"):
        before, more = Embeddings.read(places[role]), Embeddings.read(after[role])
        assert np.array_equal(more.pooled()[: shop.ITEMS], before.pooled())
        assert more.pooled()[shop.ITEMS :].any()
    assert np.array_equal(Fused.read(after["fused"]).vectors()[: shop.ITEMS], Fused.read(places["fused"]).vectors())
    into = Store(Place.of(tmp_path / "again"))
    found = reproduce(Address.parse("codes/shop/2"), store, into, LocalCompute())
    assert not [str(each) for each in found if each.differing]
    assert len([each for each in found if each.address.noun == "embeddings"]) == 6


def test_an_extension_keeps_the_modalities_of_its_base(made):
    _, store, recipe, _ = made
    less = replace(recipe, modalities={"image": recipe.modalities["image"]})
    with pytest.raises(ConfigError, match=r"modalities.brief: in the base alone"):
        extended(less, store, shop.at("codes"), "2")
    more = replace(recipe, modalities={**recipe.modalities, "sound": recipe.modalities["brief"]})
    with pytest.raises(ConfigError, match=r"modalities.sound: not in the base"):
        extended(more, store, shop.at("codes"), "2")
    other = replace(recipe.modalities["brief"], encoder=hashing.Config(width=12, seed=4), max_tokens=2)
    changed = replace(recipe, modalities={**recipe.modalities, "brief": other})
    with pytest.raises(ConfigError, match=r"modalities.brief.encoder.seed: 3 -> 4"):
        extended(changed, store, shop.at("codes"), "2")


@pytest.mark.parametrize("fusion", [concat.Config(), single.Config(modality="image")])
def test_fusions_that_learn_nothing_take_the_names_too(made, fusion):
    _, store, recipe, _ = made
    wanted = replace(recipe, name="plain", fused=replace(recipe.fused, fusion=fusion))
    drop_after = shop.make(wanted, store, "fused")
    width = Fused.read(drop_after["fused"]).width
    assert width == (6 if fusion.kind == "single" else 64 + 8 + 6 + 12)
    drop(store, Address.parse("fused/plain/1"))
