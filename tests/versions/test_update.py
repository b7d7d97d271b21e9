"""A day is taken in: ids stay, the recommender goes on, the gate decides, and a second time changes nothing."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tests.lines import logged
from tests.runtime.stores import mlflow_at
from tests.versions import shop
from unisid import pipeline
from unisid.api.daily import beginning, day_tables
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.cli import main
from unisid.cli import update as command
from unisid.cli.commands import parse
from unisid.config import override
from unisid.errors import ArtifactError, ConfigError, DataError, DriftError
from unisid.pipeline import NullTracker
from unisid.runtime import promotion
from unisid.runtime.local import LocalCompute
from unisid.runtime.promotion import Pair
from unisid.versions import update as module
from unisid.versions.gate import Gate
from unisid.versions.update import Update, day_of, read_note, update

NOW = 1_000_000


def clicks(folder, users=80, steps=4, start=0, count=shop.ITEMS + shop.NEW, name="clicks"):
    """Users go on along a longer ring, a day later."""
    random = np.random.default_rng(start + 1)
    table = [
        {"user_id": f"u{user}", "item_id": f"i{(begin + step) % count}", "timestamp": NOW + start + 100 * step + user}
        for user, begin in enumerate(random.integers(0, count, users))
        for step in range(steps)
    ]
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(table), path)
    return str(path)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A store with the first version, and its recipe."""
    folder = tmp_path_factory.mktemp("update")
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    store = Store(Place.of(folder / "store"))
    shop.make(recipe, store, "model")
    return folder, store, recipe


class World:
    """A copy of the store, and a registry in memory."""

    def __init__(self, store, recipe, folder, monkeypatch):
        self.store, self.recipe, self.folder = store, recipe, folder
        self.promoted, self.labels, self.said, self.machines = [], [], [], 0
        self.used = {"codes": "codes/shop/1", "model": "model/shop/1"}
        monkeypatch.setattr(promotion, "promote", self._promote)
        monkeypatch.setattr(promotion, "label", lambda *words: self.labels.append(words[-1]))
        monkeypatch.setattr(module.in_use, "promoted_names", lambda *_: ["shop"])
        monkeypatch.setattr(
            module.in_use, "promoted", lambda *_: (self._held(["codes"]), self._held(["model", "codes"]))
        )

    def _held(self, nouns):
        return {
            noun: (at := Address.parse(self.used[noun]), require(self.store.place(at), noun).fingerprint)
            for noun in nouns
        }

    def _promote(self, tracker, store, codes, model, name, gate):
        self.promoted.append((str(codes), str(model) if model else None))
        self.used |= {"codes": str(codes)} | ({"model": str(model)} if model else {})
        return Pair(str(len(self.promoted)), str(len(self.promoted)))

    @contextlib.contextmanager
    def _machines(self):
        self.machines += 1
        yield LocalCompute()

    def day(self, items=None, interactions=None, version="", **settings):
        recipe = day_tables(self.recipe, self.store, items, interactions)
        chosen = Update(epochs=1, gate=Gate(**settings))
        with logged(self.said):
            return update(recipe, self.store, chosen, self._machines, NullTracker(), version)


@pytest.fixture
def world(begun, tmp_path, monkeypatch):
    _, store, recipe = begun
    copy = Store(Place.of(tmp_path / "store"))
    for name in ("catalog", "embeddings", "graph", "fused", "codes", "sequences", "model"):
        place = store.place(Address(name, "shop", "1"))
        for file in place.sizes():
            copy.place(Address(name, "shop", "1")).take(file, place)
    return World(copy, recipe, tmp_path, monkeypatch)


def test_a_day_makes_the_next_version_of_everything(world):
    found = world.day(shop.items(world.folder, shop.ITEMS + shop.NEW, "more"), clicks(world.folder))
    assert world.promoted == [("codes/shop/2", "model/shop/2")] == [(found["index"]["address"], found["new"])]
    assert found["passed"]
    assert found["catalog"]["moved_semantic_ids"] == 0
    assert (found["catalog"]["new"], found["catalog"]["interactions"]) == (shop.NEW, 320)
    old, new = (Codes.read(world.store.place(shop.at("codes", version))) for version in ("1", "2"))
    assert np.array_equal(new.codes[: shop.ITEMS], old.codes)
    model = require(world.store.place(shop.at("model", "2")), "model")
    assert model.inputs["start"]["address"] == "model/shop/1"
    figures = found["figures"]
    catalog = Catalog.read(world.store.place(shop.at("catalog", "2")))
    assert figures["samples"] == catalog.record.count("test") == 64
    assert figures["difference"]["difference"] == pytest.approx(figures["new"]["mean"] - figures["old"]["mean"])
    assert 0 <= found["new_items_recommended"]["old"] <= 1
    assert world.labels[0]["update.decision"] == "promoted"
    assert world.labels[0]["update.samples"] == "64"
    assert world.machines == 1


def test_the_same_day_again_changes_nothing(world):
    items, interactions = shop.items(world.folder, shop.ITEMS + 1, "more"), clicks(world.folder, count=shop.ITEMS + 1)
    first = world.day(items, interactions)
    before = {path: path.stat().st_mtime_ns for path in (world.folder / "store").rglob("*") if path.is_file()}
    assert world.day(items, interactions) == first
    assert len(world.promoted) == world.machines == 1
    assert any("these tables are in catalog/shop/2 already" in line for line in world.said)
    after = {path: path.stat().st_mtime_ns for path in (world.folder / "store").rglob("*") if path.is_file()}
    assert after == before


def test_days_follow_one_another_and_an_older_one_is_known(world):
    days = [clicks(world.folder, start=start, count=shop.ITEMS, name=f"day-{start}") for start in (0, 5000)]
    assert [world.day(interactions=day)["index"]["address"] for day in days] == ["codes/shop/2", "codes/shop/3"]
    assert require(world.store.place(shop.at("model", "3")), "model").inputs["start"]["address"] == "model/shop/2"
    assert world.day(interactions=days[0])["index"]["address"] == "codes/shop/2"
    assert len(world.promoted) == 2
    begins = beginning(None, world.store)
    assert (str(begins.model.address), begins.codes.record.address) == ("model/shop/3", "codes/shop/3")
    assert begins.recipe.model.training == world.recipe.model.training  # a third of it each day, not of a third


def other_recipe(recipe):
    """The recipe as one who forgot how things were made has it: another tokenizer, text and recommender, no data."""
    changed = {
        "catalog.text": ("item_id",),
        "catalog.dataset.items": "",
        "codes.tokenizer.codebook_size": 9,
        "model.backbone.width": 32,
        "model.training.learning_rate": 0.5,
        "sequences.seed": 4,
    }
    for key, value in changed.items():
        recipe = override(recipe, key, value)
    return recipe


@pytest.mark.parametrize("forgotten", [False, True], ids=["no recipe", "a recipe of other settings"])
def test_who_takes_in_a_day_repeats_no_settings(world, forgotten):
    """What would be made is what the recipe that was run makes."""
    given = {"items": shop.items(world.folder, shop.ITEMS + 1, "more"), "interactions": clicks(world.folder)}

    def planned(recipe, model, codes):
        day = day_of(day_tables(recipe, world.store, **given), world.store, Update(), model, codes, "")
        return {each.noun: each.fingerprint for each in pipeline.plan(day.recipe, world.store, "model")}

    with logged(world.said):
        begins = beginning(other_recipe(world.recipe) if forgotten else None, world.store)
    assert begins.name == begins.recipe.name == "shop"
    assert planned(begins.recipe, begins.model, begins.codes) == planned(world.recipe, begins.model, begins.codes)
    said = "\n".join(world.said)
    assert ("those of codes/shop/1 and model/shop/1; recipe 'shop' has others of catalog.text" in said) == forgotten


def test_a_worse_recommender_stays_back_and_the_index_goes_into_use(world, monkeypatch):
    monkeypatch.setattr(module, "_rank_old", lambda day, places, *_: (_all_first(places), np.zeros((64, 10), np.int64)))
    found = world.day(shop.items(world.folder, shop.ITEMS + shop.NEW, "more"), clicks(world.folder))
    assert not found["passed"]
    assert found["why"].startswith("worse: NDCG@10")
    assert world.promoted == [("codes/shop/2", None)]
    assert world.labels[0]["update.decision"] == "refused"
    assert any("model/shop/1 stays: worse" in line for line in world.said)
    later = world.day(interactions=clicks(world.folder, start=5000, name="later"))
    assert (later["old"], later["base"]["address"]) == ("model/shop/1", "codes/shop/2")


def _all_first(places):
    samples = Catalog.read(places["catalog"]).record.count("test")
    return {"excluded": np.ones(samples), "allowed": np.ones(samples)}


def test_after_a_rollback_the_ids_stay_and_the_recommender_in_use_goes_on(world):
    world.day(shop.items(world.folder, shop.ITEMS + 2, "more"), clicks(world.folder, count=shop.ITEMS))
    world.used = {"codes": "codes/shop/1", "model": "model/shop/1"}
    found = world.day(interactions=clicks(world.folder, start=5000, count=shop.ITEMS, name="later"))
    assert (found["base"]["address"], found["old"]) == ("codes/shop/2", "model/shop/1")
    assert found["index"]["address"] == "codes/shop/3"


def test_a_day_without_enough_to_learn_from_extends_the_index_alone(world):
    found = world.day(shop.items(world.folder, shop.ITEMS + 2, "more"))
    assert (found["new"], found["why"]) == ("", "no interactions to learn from")
    few = world.day(interactions=clicks(world.folder, users=5, steps=2, count=shop.ITEMS, name="few"))
    assert few["why"] == "test samples of 2 users, the gate needs 30"
    assert world.promoted == [("codes/shop/2", None), ("codes/shop/3", None)]


def test_a_run_that_died_goes_on_where_it_was(world, monkeypatch):
    items, interactions = shop.items(world.folder, shop.ITEMS + 1, "more"), clicks(world.folder, count=shop.ITEMS + 1)

    def away(*_):
        raise ArtifactError("MLflow is away")

    promote = promotion.promote
    monkeypatch.setattr(promotion, "promote", away)
    with pytest.raises(ArtifactError, match="MLflow is away"):
        world.day(items, interactions)
    made = require(world.store.place(shop.at("model", "2")), "model")
    monkeypatch.setattr(promotion, "promote", promote)
    with pytest.raises(DriftError, match="was made from other settings or inputs"):
        world.day(interactions=clicks(world.folder, users=6, count=shop.ITEMS, name="other"))
    found = world.day(items, interactions)
    assert world.machines == 1  # nothing was made, and nothing ranked, again
    assert require(world.store.place(shop.at("model", "2")), "model") == made
    assert found["promoted"] == read_note(world.store.root / "reports" / "shop" / "2")["promoted"]


def test_what_is_wrong_is_refused_by_name(world):
    with pytest.raises(ConfigError, match="neither new items nor new interactions are given"):
        world.day()
    with pytest.raises(ConfigError, match="codes/shop/1 cannot extend itself"):
        world.day(interactions=clicks(world.folder, count=shop.ITEMS, name="one"), version="1")
    with pytest.raises(DataError, match="64 of 320 interactions name an item that the items lack: 'i7"):
        world.day(interactions=clicks(world.folder), version="9")
    with pytest.raises(ConfigError, match="must be HR@K or NDCG@K"):
        Gate(metric="MRR")
    table = clicks(world.folder, count=shop.ITEMS, name="short")
    world.recipe = replace(world.recipe, embeddings=replace(world.recipe.embeddings, max_tokens=4))
    with pytest.raises(ConfigError, match="was made with other settings"):
        world.day(interactions=table)


def test_the_level_of_the_gate_is_not_that_of_the_news():
    words = ["update", "shop", "--items", "items.parquet"]
    plain, quiet = (parse([*words, *more]) for more in ([], ["--quiet", "--level", "0.01"]))
    assert isinstance(plain, command.Update)
    assert isinstance(quiet, command.Update)
    assert (plain.gate.level, plain.session.quiet) == (0.05, False)
    assert (quiet.gate.level, quiet.session.quiet) == (0.01, True)


@pytest.mark.slow
def test_on_the_command_line_with_a_registry(world, tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "from tests.versions import shop\nfrom unisid.pipeline import Recipe\n\n"
        f"def make() -> Recipe:\n    return shop.recipe({world.recipe.catalog.dataset.items!r}, "
        f"{world.recipe.catalog.dataset.interactions!r})\n"
    )
    words = ["--store", str(world.store.root)]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # before MLflow sets it too, so that none stays
    with mlflow_at(uri):
        assert main(["promote", "codes/shop/1", "model/shop/1", *words]) == 0
        capsys.readouterr()
        items = shop.items(tmp_path, shop.ITEMS + shop.NEW, "more")
        day = ["--items", items, "--interactions", clicks(tmp_path), "--epochs", "1", "--compute", "local", "--json"]
        assert main(["update", *words, *day]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["promoted"] == {"index": "2", "recommender": "2"}
        told = promotion.Registered(MlflowClient(uri, uri), "shop")
        assert told.pair("champion") == Pair("2", "2")
        assert told.pair("previous") == Pair("1", "1")
        tags = told.tags("shop-recommender", "2")
        assert tags["update.decision"] == "promoted"
        assert float(tags["update.p_worse"]) == pytest.approx(found["figures"]["p_worse"], rel=1e-4)
        assert main(["update", f"{recipe}:make", *words, *day]) == 0
        assert told.pair("champion") == Pair("2", "2")
        assert main(["update", f"{recipe}:make", *words, "--compute", "local"]) == 1
        assert "neither new items nor new interactions" in capsys.readouterr().err
