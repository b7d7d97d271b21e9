"""An index that is extended: published ids stay, new ones are unique, what does not fit is refused by name."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from tests.references import assignment as twin
from tests.versions import shop
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.graph import Graph
from unisid.artifacts.lease import Owner, holding
from unisid.artifacts.record import require
from unisid.artifacts.shards import Shards, write_array
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import read_table
from unisid.cli import main
from unisid.cli.configured import word_of
from unisid.config import fingerprint, plug_in, plug_ins
from unisid.datasets import tables
from unisid.errors import ArtifactError, BusyError, ConfigError, DataError, DriftError
from unisid.evaluation.index import Gate
from unisid.fusion import single
from unisid.ops.semantic_ids import spell
from unisid.pipeline import drop, plan
from unisid.planning import missing
from unisid.reproduce import reproduce
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender
from unisid.stages.catalog import extend
from unisid.stages.codes.extend import _along_used
from unisid.stages.codes.unique import Encoder, Taken, matrix, slices, unique_codes
from unisid.tokenizers import read_tokenizer, rqkmeans, write_tokenizer
from unisid.versions.extend import extended, next_version
from unisid.versions.recorded import as_recorded


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A store with a whole run of the small shop, and the recipe of it."""
    folder = tmp_path_factory.mktemp("shop")
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    store = Store(Place.of(folder / "store"))
    shop.make(recipe, store, "model")
    return folder, store, recipe


def larger(recipe, table, **more):
    """The recipe over a larger table of items."""
    dataset = replace(recipe.catalog.dataset, items=table)
    return replace(recipe, catalog=replace(recipe.catalog, dataset=dataset, keep_cold_items=True), **more)


@pytest.fixture(scope="module")
def grown(published):
    """The same store with version 2, which has 15 items more."""
    folder, store, recipe = published
    table = shop.items(folder, shop.ITEMS + shop.NEW, "more", {0: "a green hat"})
    wanted = extended(larger(recipe, table), store, shop.at("codes"), "2")
    old = [p for p in (folder / "store").rglob("*") if p.is_file() and not p.name.startswith(".")]  # no counters
    before = {p: p.stat().st_mtime_ns for p in old if p.name != "lock"}
    said = []
    places = shop.make(wanted, store, said=said)
    assert {p: p.stat().st_mtime_ns for p in before} == before  # the old version is untouched
    return store, wanted, places, said


def test_published_ids_stay_and_new_ones_are_unique(published, grown):
    store, _, places, said = grown
    old, new = Codes.read(store.place(shop.at("codes"))), Codes.read(places["codes"])
    before, after = Catalog.read(store.place(shop.at("catalog"))), Catalog.read(places["catalog"])
    assert new.record.address == "codes/shop/2"
    assert np.array_equal(new.codes[: shop.ITEMS], old.codes)
    assert after.item_ids[: shop.ITEMS].equals(before.item_ids)
    assert len(np.unique(new.codes, axis=0)) == after.num_items == shop.ITEMS + shop.NEW
    assert new.sizes == old.sizes
    done = new.extension
    assert (done["kept"], done["new"], done["readmitted"]) == (shop.ITEMS, shop.NEW, 0)
    assert new.record.inputs["base"] == {"address": "codes/shop/1", "fingerprint": old.record.fingerprint}
    assert new.extends == (old.record.fingerprint,)
    assert any("1 published items have another text now: 'i0'" in line for line in said)
    assert read_table(after.place, "items")["title"][before.item_ids.index("i0").as_py()].as_py() == shop.title(0)


def test_new_items_are_encoded_by_text_alone_with_the_frozen_tokenizer(grown):
    store, _, places, _ = grown
    new = np.arange(shop.ITEMS, shop.ITEMS + shop.NEW)
    graph = Graph.read(places["graph"])
    assert not graph.layers(new).any()
    assert not graph.degree()[new].any()
    fused, base = Fused.read(places["fused"]), Fused.read(store.place(shop.at("fused")))
    assert fused.text_only()[new].all()
    assert np.array_equal(fused.vectors()[: shop.ITEMS], base.vectors())
    tokenizer = read_tokenizer(store.place(shop.at("codes")))
    nearest = tokenizer.encode(torch.from_numpy(fused.vectors(new))).numpy()
    codes = Codes.read(places["codes"])
    table = read_table(places["codes"], "added").to_pylist()
    ids = Catalog.read(places["catalog"]).item_ids.to_pylist()
    assert [row["item_id"] for row in table] == ids[shop.ITEMS :]
    assert all(row["new"] for row in table)
    assert [row["nearest"] for row in table] == [spell(row) for row in nearest]
    assert [row["sid"] for row in table] == [spell(row) for row in codes.codes[new]]
    assert codes.extension["resolved"] == sum(row["sid"] != row["nearest"] for row in table)
    prefixes = {tuple(row) for row in codes.codes[: shop.ITEMS, :-1].tolist()}
    assert {tuple(row) for row in codes.codes[new, :-1].tolist()} <= prefixes  # such as a trained recommender generates
    published = {spell(row) for row in codes.codes[: shop.ITEMS]}
    free = {spell(row) for row in nearest if tuple(row[:-1].tolist()) in prefixes} - published
    assert free <= {row["sid"] for row in table}  # a free id is given to an item that is nearest to it


def test_again_makes_nothing_and_a_lost_artifact_is_made_the_same(published, grown):
    store, wanted, places, _ = grown
    assert not missing(plan(wanted, store, "codes"))
    tables = {name: places["codes"].read(name) for name in places["codes"].sizes() if name.endswith(".parquet")}
    drop(store, shop.at("codes", "2"))
    drop(store, shop.at("fused", "2"))
    assert [entry.noun for entry in missing(plan(wanted, store, "codes"))] == ["fused", "codes"]
    shop.make(wanted, store)
    for name, data in tables.items():
        if name != "curve.parquet":
            assert places["codes"].read(name) == data, name


def test_later_stages_and_the_old_recommender_work_on_the_new_version(published, grown):
    store, wanted, places, _ = grown
    model = store.place(shop.at("model"))
    recommender = Recommender.load(model, places["codes"], places["catalog"])
    items, _ = recommender.rank([np.array([3, 70])], 75, beam_width=75)
    assert set(items[0].tolist()) - {-1} == set(range(75)) - {3, 70}
    made = shop.make(wanted, store, "sequences")
    assert require(made["sequences"], "sequences").address == "sequences/shop/2"


def test_an_extension_can_be_extended(published, grown, tmp_path):
    store, _, places, _ = grown
    recipe = published[2]
    table = shop.items(tmp_path, shop.ITEMS + shop.NEW + 5)
    third = shop.make(extended(larger(recipe, table), store, shop.at("codes", "2"), "3"), store)
    old, new = Codes.read(places["codes"]), Codes.read(third["codes"])
    assert np.array_equal(new.codes[: len(old.codes)], old.codes)
    assert len(np.unique(new.codes, axis=0)) == len(old.codes) + 5
    assert set(new.extends) == {old.record.fingerprint, *old.extends}
    Recommender.load(store.place(shop.at("model")), third["codes"], third["catalog"])


def test_another_catalogue_under_the_same_version_is_drift(published, grown, tmp_path):
    store, _, _, _ = grown
    table = shop.items(tmp_path, shop.ITEMS + 3)
    with pytest.raises(DriftError, match="catalog/shop/2"):
        shop.make(extended(larger(published[2], table), store, shop.at("codes"), "2"), store)


def test_what_would_change_the_meaning_of_codes_is_refused(published, tmp_path):
    _, store, recipe = published
    wanted = larger(recipe, shop.items(tmp_path, shop.ITEMS + 2))

    def refused(match, **changes):
        with pytest.raises(ConfigError, match=match):
            extended(replace(wanted, **changes), store, shop.at("codes"), "9")

    refused(
        r"codes\.tokenizer\.codebook_size: 5 -> 6",
        codes=replace(recipe.codes, tokenizer=replace(recipe.codes.tokenizer, codebook_size=6)),
    )
    encoder = replace(recipe.embeddings.encoder, width=recipe.embeddings.encoder.width * 2)
    refused(r"embeddings\.encoder\.width", embeddings=replace(recipe.embeddings, encoder=encoder))
    refused(r"catalog\.history_length: 10 -> 5", catalog=replace(wanted.catalog, history_length=5))
    with pytest.raises(ConfigError, match="cannot extend itself"):
        extended(wanted, store, shop.at("codes"), "1")
    with pytest.raises(ArtifactError, match="no complete codes here"):
        extended(wanted, store, shop.at("codes", "77"), "78")
    freed = replace(recipe.codes, gate=Gate(distinct=0.01))
    assert extended(replace(wanted, codes=freed), store, shop.at("codes"), "9").codes.gate == freed.gate


def test_other_weights_of_the_encoder_are_refused(published, tmp_path, monkeypatch):
    _, store, recipe = published
    other = {"address": "elsewhere", "fingerprint": fingerprint("other")}
    monkeypatch.setattr(type(recipe.embeddings.encoder), "source", lambda self: other)
    with pytest.raises(ConfigError, match=r"the text encoder's weights: none -> elsewhere"):
        extended(larger(recipe, shop.items(tmp_path, 70)), store, shop.at("codes"), "9")


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (shop.ITEMS - 2, r"2 of the 60 items of catalog/shop/1 are not in the new catalogue: 'i5[89]', 'i5[89]'"),
        (shop.ITEMS, "all 60 items have their semantic ids in catalog/shop/1 already"),
        (126, "names 125 items at most and 65 semantic ids are free, the catalogue has 66 new items"),
    ],
)
def test_a_catalogue_that_does_not_fit_is_refused(published, tmp_path, count, message):
    """Items that vanished (here none that anybody bought), none that is new, more than the code space has names for."""
    _, store, recipe = published
    rows = shop.interactions(tmp_path, min(count, shop.ITEMS))
    wanted = larger(recipe, shop.items(tmp_path, count))
    wanted = replace(
        wanted, catalog=replace(wanted.catalog, dataset=replace(wanted.catalog.dataset, interactions=rows))
    )
    with pytest.raises(DataError, match=message):
        shop.make(extended(wanted, store, shop.at("codes"), f"bad-{count}"), store)


def test_a_full_code_space_is_filled_to_its_last_name(published, tmp_path):
    _, store, recipe = published
    wanted = extended(larger(recipe, shop.items(tmp_path, 125)), store, shop.at("codes"), "full")
    codes = Codes.read(shop.make(wanted, store)["codes"])
    assert len(np.unique(codes.codes, axis=0)) == 125
    assert np.array_equal(codes.codes[: shop.ITEMS], Codes.read(store.place(shop.at("codes"))).codes)


def test_appended_levels_count_on_and_a_model_without_such_tokens_is_refused(tmp_path):
    store = Store(Place.of(tmp_path / "store"))
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path), "append", codebook_size=4)
    first = Codes.read(shop.make(recipe, store, "model")["codes"])
    same = dict.fromkeys(range(shop.ITEMS, shop.ITEMS + 40), shop.title(0))
    table = shop.items(tmp_path, shop.ITEMS + 40, "more", same)  # 40 items of one text: one tuple
    said = []
    places = shop.make(extended(larger(recipe, table), store, shop.at("codes"), "2"), store, said=said)
    codes = Codes.read(places["codes"])
    assert np.array_equal(codes.codes[: shop.ITEMS], first.codes)
    assert len(np.unique(codes.codes, axis=0)) == shop.ITEMS + 40
    mine = codes.codes[shop.ITEMS :]
    assert len(np.unique(mine[:, :-1], axis=0)) == 1
    taken = first.codes[(first.codes[:, :-1] == mine[0, :-1]).all(1), -1]
    assert mine[:, -1].tolist() == list(range(len(taken), len(taken) + 40))
    assert codes.sizes[:-1] == first.sizes[:-1]
    assert codes.sizes[-1] == len(taken) + 40
    assert any("the counting level grew" in line for line in said)
    with pytest.raises(ArtifactError, match="train a recommender on that index"):
        Recommender.load(store.place(shop.at("model")), places["codes"], places["catalog"])


@pytest.mark.parametrize("kind", plug_ins("tokenizers"))
def test_every_tokenizer_is_extended_frozen(published, grown, kind):
    """All before the codes is shared with the first index, under its own name too; so is the larger catalogue."""
    folder, store, recipe = published
    settings = plug_in("tokenizers", kind)
    small = {"num_levels": 3, "codebook_size": 5, "widths": (8, 4), "num_clusters": 2, "restarts": 1, "rotations": 2}
    if kind == "paired":  # either half names an item
        small |= {"num_levels": 4, "codebook_size": 10}
    known = {field.name for field in dataclasses.fields(settings)}
    tokenizer = settings(**{name: value for name, value in small.items() if name in known})
    own = replace(recipe, name=kind, codes=replace(recipe.codes, tokenizer=tokenizer))
    first = Codes.read(shop.make(own, store)["codes"])
    base = Address.parse(first.record.address)
    made = shop.make(extended(larger(own, str(folder / "more.parquet")), store, base, "2"), store)
    assert made["fused"] == grown[2]["fused"]
    second = Codes.read(made["codes"])
    assert np.array_equal(second.codes[: shop.ITEMS], first.codes)
    assert len(np.unique(second.codes, axis=0)) == shop.ITEMS + shop.NEW
    assert first.place.read("weights.safetensors") == second.place.read("weights.safetensors")
    for own in slices(tokenizer.parts):
        assert len(np.unique(second.codes[:, own], axis=0)) == shop.ITEMS + shop.NEW


def test_a_fusion_without_vectors_of_new_items_is_refused(tmp_path):
    store = Store(Place.of(tmp_path / "store"))
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path))
    recipe = replace(recipe, fused=replace(recipe.fused, fusion=single.Config(modality="graph")))
    shop.make(recipe, store)
    wanted = extended(larger(recipe, shop.items(tmp_path, 70, "more")), store, shop.at("codes"), "2")
    with pytest.raises(
        DataError, match="the fusion 'single' of fused/shop/1 gives items without interactions the zero"
    ):
        shop.make(wanted, store)


def test_a_base_that_is_being_made_is_said_to_be(published, tmp_path):
    _, _, recipe = published
    store, at_work = Store(Place.of(tmp_path)), Owner(makes={str(shop.at("codes")): "f"})
    with (
        holding(store, "shop", "1", at_work, lambda owner: None),
        pytest.raises(BusyError, match=rf"codes/shop/1 is not complete: pid {at_work.pid} on .* since 20"),
    ):
        extended(recipe, store, shop.at("codes"), "2")
    with pytest.raises(ArtifactError, match="no complete codes here"):
        extended(recipe, store, shop.at("codes"), "2")


def test_a_base_is_not_dropped_while_it_is_extended(published, tmp_path, monkeypatch):
    folder, store, recipe = published
    table = shop.items(folder, shop.ITEMS + shop.NEW, "held")
    wanted = extended(larger(recipe, table), store, shop.at("codes"), "9")
    true, refused = extend.make, []

    def make(job):
        for noun in ("codes", "catalog", "fused"):
            with pytest.raises(BusyError, match=rf"{noun}/shop/1: is in use by pid "):
                drop(store, shop.at(noun))
            refused.append(noun)
        return true(job)

    monkeypatch.setattr(extend, "make", make)
    shop.make(wanted, store)
    assert refused == ["codes", "catalog", "fused"]


def test_versions_count_on():
    assert next_version("9") == "10"
    with pytest.raises(ConfigError, match="version 'a' is no number"):
        next_version("a")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_published_ids_never_move_and_all_are_unique(tmp_path_factory, data):
    """Any published ids of any small code space, any new vectors, down to all equal ones and no room to spare."""
    levels, size = data.draw(st.sampled_from([(1, 6), (2, 3), (3, 2), (3, 3)]))
    everything = np.stack(np.unravel_index(np.arange(size**levels), (size,) * levels), axis=1).astype(np.int32)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(everything))
    published = data.draw(st.integers(1, len(everything) - 1))
    count = data.draw(st.one_of(st.just(len(everything) - published), st.integers(1, len(everything) - published)))
    vectors = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count)), np.float32)[:, None]
    place = Place.of(tmp_path_factory.mktemp("law"))
    config = rqkmeans.Config(num_levels=levels, codebook_size=size)
    tokenizer = config.build(1)
    tokenizer.codebooks.copy_(torch.linspace(-3, 3, size)[None, :, None] / torch.arange(1, levels + 1)[:, None, None])
    write_tokenizer(place, config, tokenizer)
    write_array(place, "vectors", {"vector": np.concatenate([np.zeros((published, 1), np.float32), vectors])})
    encoder = Encoder(Shards(place, "vectors"), place, shop.INSIDE)
    nearest = tokenizer.encode(torch.from_numpy(vectors)).numpy().astype(np.int32)
    old = everything[order[:published]]
    taken = Taken.write(place / "taken", old)
    new = unique_codes(
        LocalCompute(), shop.INSIDE, place / "work", encoder, nearest, (size,) * levels, taken, published
    )
    assert len(np.unique(np.concatenate([old, new]), axis=0)) == published + count
    assert new.min() >= 0
    assert new.max() < size
    # An item without competition keeps what is nearest: alone on a free id, in a prefix where nothing collides.
    keys = np.concatenate([old, nearest])
    for row, code in enumerate(nearest):
        family = keys[(keys[:, :-1] == code[:-1]).all(1)]
        if len(np.unique(family, axis=0)) == len(family) and len(np.unique(keys, axis=0)) == len(keys):
            assert new[row].tolist() == code.tolist()


def test_long_ids_go_on_where_the_published_ones_end(place):
    """40 levels of 5 codes: new items, all at one point, fill the prefixes next to it that published ids left free."""
    config = rqkmeans.Config(num_levels=40, codebook_size=5)
    tokenizer = config.build(1)
    tokenizer.codebooks.copy_(torch.linspace(-2, 2, 5)[None, :, None] / 3.0 ** torch.arange(40)[:, None, None])
    write_tokenizer(place, config, tokenizer)
    write_array(place, "vectors", {"vector": np.zeros((60, 1), np.float32)})
    encoder = Encoder(Shards(place, "vectors"), place, shop.INSIDE)
    nearest = tokenizer.encode(torch.zeros(60, 1)).numpy().astype(np.int32)
    old = np.concatenate([nearest[:3], np.random.default_rng(0).integers(0, 5, (50, 40)).astype(np.int32)])
    old[:3, -1] = [0, 1, 3]
    taken = Taken.write(place / "taken", old[::-1])
    new = unique_codes(LocalCompute(), shop.INSIDE, place / "work", encoder, nearest, (5,) * 40, taken)
    assert len(np.unique(np.concatenate([old, new]), axis=0)) == 53 + 60
    assert (new[:, :37] == nearest[:, :37]).all()
    assert sorted(row[-1] for row in new.tolist() if row[:-1] == nearest[0, :-1].tolist()) == [2, 4]
    assert len(np.unique(new[:, :38], axis=0)) == 3  # 22 of 25 are free below the nearest prefix, 25 and 13 next to it


def test_the_last_code_of_a_prefix_is_assigned_at_the_least_total_distance(place):
    """Two codes of the prefix are taken: three new items share the rest as the best of all orders would."""
    config = rqkmeans.Config(num_levels=2, codebook_size=6)
    tokenizer = config.build(2)
    random = torch.Generator().manual_seed(5)
    tokenizer.codebooks.copy_(torch.randn(2, 6, 2, generator=random))
    write_tokenizer(place, config, tokenizer)
    points = tokenizer.codebooks[0][2] + 0.3 * torch.randn(3, 2, generator=random)
    write_array(place, "vectors", {"vector": points.numpy()})
    encoder = Encoder(Shards(place, "vectors"), place, shop.INSIDE)
    prefix = torch.full((3, 1), 2)
    distances = tokenizer.distances(tokenizer.latent(points), prefix)
    nearest = np.column_stack([prefix.numpy(), distances.argmin(1).numpy()]).astype(np.int32)
    old = np.array([[2, code] for code in sorted(set(nearest[:, 1].tolist()))[:2]], np.int32)
    taken = Taken.write(place / "taken", old)
    new = unique_codes(LocalCompute(), shop.INSIDE, place / "work", encoder, nearest, (6, 6), taken)
    free = np.setdiff1d(np.arange(6), old[:, 1])
    assert (new[:, 0] == 2).all()
    assert set(new[:, 1].tolist()) <= set(free.tolist())
    total = distances.numpy()[np.arange(3), new[:, 1]].sum()
    assert total == pytest.approx(twin.least_total(distances.numpy()[:, free]), abs=1e-5)


def test_a_full_prefix_sheds_a_new_item_to_the_next_nearest_with_room(place):
    config = rqkmeans.Config(num_levels=2, codebook_size=3)
    tokenizer = config.build(1)
    tokenizer.codebooks.copy_(torch.tensor([[[0.0], [10.0], [-100.0]], [[-1.0], [0.0], [1.0]]]))
    write_tokenizer(place, config, tokenizer)
    write_array(place, "vectors", {"vector": np.array([[0.2]], np.float32)})
    encoder = Encoder(Shards(place, "vectors"), place, shop.INSIDE)
    old = np.array([[0, 0], [0, 1], [0, 2], [1, 0]], np.int32)
    taken = Taken.write(place / "taken", old)
    nearest = np.array([[0, 1]], np.int32)
    new = unique_codes(LocalCompute(), shop.INSIDE, place / "work", encoder, nearest, (3, 3), taken)
    assert new.tolist() == [[1, 1]]  # code 0 of the next prefix would be nearest, and is taken


def test_a_new_item_goes_along_codes_that_are_used_and_have_room(place):
    """By hand: the nearest first code is unused, the next nearest has no room left, the one after has."""
    config = rqkmeans.Config(num_levels=2, codebook_size=3)
    tokenizer = config.build(1)
    tokenizer.codebooks.copy_(torch.tensor([[[0.0], [10.0], [30.0]], [[-1.0], [0.0], [1.0]]]))
    write_tokenizer(place, config, tokenizer)
    write_array(place, "vectors", {"vector": np.array([[0.2], [9.0], [31.0]], np.float32)})
    encoder = Encoder(Shards(place, "vectors"), place, shop.INSIDE)
    published = np.array([[1, 0], [1, 1], [1, 2], [2, 1]], np.int32)
    taken = Taken.write(place / "taken", published)
    step = _along_used(encoder, taken, (3, 3), first=0, levels=2)
    found = matrix(step(pa.table({"start": [0], "stop": [3]}))["codes"])
    assert found.tolist() == [[2, 0], [2, 0], [2, 2]]
    alone = _along_used(encoder, Taken.write(place / "full", published[:3]), (3, 3), first=0, levels=2)
    whole = matrix(alone(pa.table({"start": [0], "stop": [3]}))["codes"])
    assert whole.tolist() == [[0, 1], [1, 0], [2, 2]]  # nothing that is used has room: the nearest of all


def test_on_the_command_line(published, grown, tmp_path, monkeypatch, capsys):
    """`unisid index extend` finds the base by the recipe, refuses a wrong one, and makes nothing twice."""
    folder, store, recipe = published
    monkeypatch.setattr("unisid.recipes.find", lambda name: recipe)
    more = str(folder / "more.parquet")
    words = ["index", "extend", "shop", "--compute", "local", "--store", str(store.root)]
    assert main([*words, "--catalog.dataset.items", more]) == 0
    shown = capsys.readouterr().out
    assert "everything is there, nothing to make" in shown
    assert "codes/shop/2 extends codes/shop/1: 60 semantic ids kept, 15 new items" in shown
    assert main([*words, "--catalog.dataset.items", more, "--until", "codes"]) == 0
    assert "codes/shop/2 extends codes/shop/1" in capsys.readouterr().out
    assert main([*words, "--base", "codes/shop/1", "--to", "1"]) == 1
    assert "codes/shop/1 cannot extend itself" in capsys.readouterr().err
    assert main([*words, "--catalog.dataset.itmes", more]) == 1
    assert "did you mean 'catalog.dataset.items'" in capsys.readouterr().err
    assert main(["sid", "i70", "--codes", "codes/shop/2", "--store", str(store.root)]) == 0
    assert "<a_" in capsys.readouterr().out
    asked = ["recommend", "--history", "i70", "--model", "model/shop/1", "--k", "3", "--store", str(store.root)]
    assert main([*asked, "--codes", "codes/shop/2"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 4
    assert main(asked) == 1  # its own index does not know the item
    assert "i70" in capsys.readouterr().err


def other_recipe(recipe, **changes):
    """The recipe as one who forgot how the index was made has it: another tokenizer, another text, no data."""
    tokenizer = rqkmeans.Config(num_levels=2, codebook_size=9)
    return replace(
        recipe,
        catalog=replace(recipe.catalog, text=("item_id",), k_core=3, dataset=tables.Config()),
        codes=replace(recipe.codes, tokenizer=tokenizer),
        **changes,
    )


@pytest.mark.parametrize("recipe_word", [[], ["shop"]], ids=["no recipe", "a recipe of other settings"])
def test_who_extends_an_index_repeats_no_settings(published, grown, monkeypatch, capsys, recipe_word):
    """What is made is what the very recipe of the base makes, which lies there."""
    folder, store, recipe = published
    monkeypatch.setattr("unisid.recipes.find", lambda name: other_recipe(recipe, name="other"))
    more = ["--catalog.dataset.items", str(folder / "more.parquet")]
    words = ["index", "extend", *recipe_word, "--base", "codes/shop/1", "--compute", "local", "--json"]
    assert main([*words, "--store", str(store.root), *more]) == 0
    out, said = capsys.readouterr()
    assert "everything is there, nothing to make" in said
    assert ("recipe 'other' has others of catalog.k_core, catalog.text" in said) == bool(recipe_word)
    body = json.loads(out)
    assert (body["address"], body["base"], body["kept"], body["new"]) == ("codes/shop/2", "codes/shop/1", 60, 15)


def test_settings_that_are_said_are_refused_where_they_differ(published, grown, monkeypatch, capsys):
    _, store, recipe = published
    monkeypatch.setattr("unisid.recipes.find", lambda name: other_recipe(recipe))
    words = ["index", "extend", "shop", "--to", "9", "--compute", "local", "--store", str(store.root)]
    assert main([*words, "--codes.tokenizer.codebook-size", "9"]) == 1
    complaint = capsys.readouterr().err.split("made with other settings:")[1].split("An extension")[0]
    assert complaint.split() == ["codes.tokenizer.codebook_size:", "5", "->", "9"]
    assert main([*words[:2], *words[3:], "--until", "model", "--base", "codes/shop/1"]) == 1
    assert "--until model: is made by settings that the index lacks; name the recipe" in capsys.readouterr().err


def test_a_recipes_own_places_and_later_stages_stay(published, grown):
    """An extension is extended like a base, whatever version the recipe has."""
    _, store, recipe = published
    dataset = replace(recipe.catalog.dataset, interactions="s3://elsewhere/rows.parquet", items="")
    mine = replace(recipe, version="7", model=replace(recipe.model, batch_size=3))
    found = as_recorded(replace(mine, catalog=replace(mine.catalog, dataset=dataset)), store, shop.at("codes", "2"))
    assert found.catalog.dataset.interactions == "s3://elsewhere/rows.parquet"
    assert found.catalog.dataset.items.endswith("more.parquet")
    assert (found.model.batch_size, found.version, found.catalog.base) == (3, "2", None)
    assert found.codes.tokenizer == recipe.codes.tokenizer


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--a 1 --name x", "x"),
        ("--name=x --b", "x"),
        ("--name x --name y", "y"),
        ("--names x", ""),
        ("--name", ""),
        ("", ""),
    ],
)
def test_the_value_of_a_word(words, found):
    assert word_of(words.split(), "name") == found


def test_mlflow_is_told_later_of_an_extension_that_it_missed(published, grown, tmp_path, monkeypatch, capsys):
    folder, store, recipe = published
    monkeypatch.setattr("unisid.recipes.find", lambda name: recipe)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    words = [
        "index",
        "extend",
        "shop",
        "--sync",
        "--compute",
        "local",
        "--store",
        str(store.root),
        "--catalog.dataset.items",
        str(folder / "more.parquet"),
    ]
    assert main(words) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("logged to MLflow: ")]
    assert told == [f"logged to MLflow: {noun}/shop/2" for noun in ("catalog", "embeddings", "graph", "fused", "codes")]
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    (registered,) = client.search_model_versions("name='shop-index'")
    assert registered.tags["address"] == "codes/shop/2"
    assert registered.tags["fingerprint"] == require(store.place(shop.at("codes", "2")), "codes").fingerprint
    assert main([*words, "--catalog.seed", "9"]) == 1
    assert "catalog/shop/2: was made from other settings" in capsys.readouterr().err


def test_an_extended_index_is_made_again_with_all_that_it_extends(published, grown, tmp_path):
    _, store, _ = published
    into = Store(Place.of(tmp_path))
    found = reproduce(shop.at("codes", "2"), store, into, LocalCompute())
    nouns = ("catalog", "embeddings", "graph", "fused", "codes")
    assert [str(each.address) for each in found] == [f"{noun}/shop/{version}" for version in "12" for noun in nouns]
    assert all(each.files and not each.differing for each in found)
    first, second = (require(into.place(Address("codes", "again", version)), "codes") for version in "12")
    assert second.inputs["base"] == {"address": "codes/again/1", "fingerprint": first.fingerprint}


def test_what_extends_something_else_than_stands_there_is_not_made_again(published, grown, tmp_path):
    folder, _, recipe = published
    shutil.copytree(folder / "store", tmp_path / "store")
    store = Store(Place.of(tmp_path / "store"))
    drop(store, shop.at("codes"))
    other = replace(recipe.codes, tokenizer=rqkmeans.Config(num_levels=3, codebook_size=6))
    shop.make(replace(recipe, codes=other), store)
    with pytest.raises(ArtifactError, match=r"codes/shop/1: has the fingerprint .*, codes/shop/2 goes on .* is gone"):
        reproduce(shop.at("codes", "2"), store, Store(Place.of(tmp_path / "again")), LocalCompute())


def test_items_that_the_base_left_out_are_counted_apart(tmp_path, capsys):
    """Of 13 items that come in, three were in the base's table already, where no interaction named them."""
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS + 3), shop.interactions(tmp_path))
    store = Store(Place.of(tmp_path / "store"))
    shop.make(recipe, store, "codes")
    more = shop.items(tmp_path, shop.ITEMS + 13, "more")
    said = []
    places = shop.make(extended(larger(recipe, more), store, shop.at("codes"), "2"), store, "codes", said=said)
    counts = require(places["catalog"], "catalog").counts["extension"]
    assert (counts["published"], counts["new"], counts["readmitted"]) == (60, 10, 3)
    assert any("10 new items come after the 60 published ones, and 3 that catalog/shop/1 left out" in s for s in said)
    assert Catalog.read(places["catalog"]).left_out() == {}
    extension = Codes.read(places["codes"]).extension
    assert (extension["kept"], extension["new"], extension["readmitted"]) == (60, 10, 3)
    table = read_table(places["codes"], "added").to_pylist()
    assert {row["item_id"] for row in table if not row["new"]} == {"i60", "i61", "i62"}
    assert len(table) == 13
    words = ["index", "extend", "--base", "codes/shop/1", "--compute", "local", "--store", str(store.root)]
    assert main([*words, "--catalog.dataset.items", more]) == 0
    assert "60 semantic ids kept, 10 new items and 3 that codes/shop/1 left out added" in capsys.readouterr().out


def test_a_record_of_an_older_extension_still_opens(published, grown, monkeypatch, capsys):
    """It counts all that was added in one number."""
    folder, store, _ = published
    older = {"base": "codes/shop/1", "kept": 60, "added": 15, "resolved": 2}
    monkeypatch.setattr(Codes, "extension", older)
    words = ["index", "extend", "--base", "codes/shop/1", "--compute", "local", "--store", str(store.root)]
    assert main([*words, "--catalog.dataset.items", str(folder / "more.parquet")]) == 0
    assert "60 semantic ids kept, 15 new items added, 2 of these" in capsys.readouterr().out
