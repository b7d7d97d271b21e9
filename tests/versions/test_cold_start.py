"""Items that no training has seen: held out whole, given ids afterwards, ranked beside what chance gives."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.lines import logged
from tests.stages import ring
from tests.versions import shop
from unisid import cli
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require
from unisid.artifacts.store import Place, Store
from unisid.backbones import hierarchical
from unisid.cli.session import Session
from unisid.config import to_record
from unisid.errors import ConfigError, DataError
from unisid.log import logger
from unisid.pipeline import NullTracker
from unisid.runtime.local import LocalCompute
from unisid.training.loop import Training
from unisid.versions.cold_start import FILE, Recipes, chance, cold_start, table, targeted

SHARE, SEED = 0.2, 7
LOG = logger("unisid.test")
HELD = round(SHARE * shop.ITEMS)


class Told(NullTracker):
    """A tracker that keeps what it was to register."""

    def __init__(self):
        self.published = []

    def publish(self, name, places, report):
        self.published.append(dict(places))


TOLD = Told()


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cold")
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    store = Store(Place.of(folder / "store"))
    with logged() as said:
        found = cold_start(recipe, SHARE, SEED, store, LocalCompute(), TOLD)
    return recipe, store, found, said


def test_what_was_made_for_a_trial_is_not_registered(tried):
    assert TOLD.published == [{}, {}]


def test_held_out_items_are_nowhere_in_the_base_and_last_in_the_extension(tried):
    recipe, store, found, _ = tried
    recipes = Recipes.of(recipe, SHARE, SEED)
    name = recipes.base.name
    base = Catalog.read(store.root / f"catalog/{name}/1")
    whole = Catalog.read(store.root / f"catalog/{name}/1-extended")
    assert found["new_items"] == HELD == whole.num_items - base.num_items
    assert base.record.counts["held_out"] == HELD
    held = set(whole.item_ids[base.num_items :].to_pylist())
    assert not held & set(base.item_ids.to_pylist())
    assert whole.item_ids[: base.num_items].equals(base.item_ids)
    plain = shop.make(recipe, store, "catalog")["catalog"]
    assert len(Catalog.read(plain).item) == len(whole.item)  # all interactions are back
    lost = np.isin(whole.item, np.arange(base.num_items, whole.num_items)).sum()
    assert len(base.item) == len(whole.item) - lost
    old, new = (Codes.read(store.root / f"codes/{name}/{version}") for version in ("1", "1-extended"))
    assert np.array_equal(new.codes[: len(old.codes)], old.codes)
    rows = targeted(whole, base.num_items)
    assert found["samples"] == len(rows)
    assert set(whole.item[rows].tolist()) == set(whole.item[whole.samples(TEST)].tolist()) - set(range(base.num_items))


def test_the_figures_are_told_and_written(tried):
    recipe, store, found, said = tried
    name = Recipes.of(recipe, SHARE, SEED).base.name
    written = json.loads((store.root / f"reports/{name}/1-extended").read(FILE))
    assert written == found
    assert any(line.startswith("written to ") for line in said)
    assert any(line.startswith(f"cold start: {found['samples']} of {found['samples']} samples, ") for line in said)
    for among, size in (("all items", shop.ITEMS), ("new items", HELD)):
        for rule in ("excluded", "allowed"):
            for recall in found["recall"][among][rule].values():
                assert 0 <= recall["low"] <= recall["mean"] <= recall["high"] <= 1
        assert found["recall"][among]["allowed"]["recall@5"]["chance"] == pytest.approx(5 / size)
    assert "recall@10" in found["recall"]["new items"]["allowed"]
    assert "recall@20" not in found["recall"]["new items"]["allowed"]  # of 12 new items
    shown = table(found)
    for word in ("12 of 60 items held out (share 0.2, seed 7)", "among new items", "history excluded", "chance"):
        assert word in shown


def test_baselines_that_never_saw_the_new_items_stand_beside(tried):
    found = tried[2]
    for among in ("all items", "new items"):
        assert found["baselines"].keys() == {"popularity", "related"}
        for figures in found["baselines"].values():
            assert figures[among].keys() == {"excluded", "allowed"}
    popular = found["baselines"]["popularity"]
    assert popular["all items"]["allowed"]["recall@10"]["mean"] == 0  # no user took them
    shown = table(found)
    assert "popularity" in shown
    assert "samples of older items, history excluded, against the same without new items: HR@10" in shown


def test_items_of_older_targets_lose_by_new_ones_no_more_than_lists_are_pushed_down(tried):
    found = tried[2]
    for rule in ("excluded", "allowed"):
        for each in found["others"][rule].values():
            assert each["low"] <= each["difference"] <= each["high"]
            assert each["with"] - each["without"] == pytest.approx(each["difference"])
            assert each["difference"] <= 0  # the same scores, and more items to compete with


def test_a_memory_recommends_new_items_as_those_that_they_are_like(tried):
    """Users walk along a ring on which items of alike titles lie side by side: held-out items are found."""
    recipe, store, _, _ = tried
    backbone = hierarchical.Config(width=16, feedforward_width=16, num_layers=1, max_length=64)
    training = Training(epochs=2, learning_rate=1e-3, schedule="constant")
    over_items = replace(recipe.model, backbone=backbone, training=training)
    wanted = replace(recipe, name="ring", model=over_items)
    found = cold_start(wanted, SHARE, SEED, store, LocalCompute(), NullTracker())
    whole = found["recall"]["all items"]["excluded"]["recall@10"]
    assert whole["mean"] > 2 * whole["chance"]
    assert whole["low"] > found["baselines"]["popularity"]["all items"]["excluded"]["recall@10"]["mean"] == 0
    related = found["baselines"]["related"]["all items"]["excluded"]["recall@10"]
    assert related["mean"] > 2 * related["chance"]


def test_json_is_all_that_goes_to_the_output(tried, tmp_path, monkeypatch, capsys):
    _, _, found, _ = tried

    def tracker(session):
        LOG.info("registry: told")
        return NullTracker()

    def again(*given):
        LOG.info("at work")
        return found

    monkeypatch.setattr(Session, "tracker", tracker)
    monkeypatch.setattr("unisid.versions.cold_start.cold_start", again)
    assert cli.main(["index", "cold-start", "demo", "--json", "--compute", "local", "--store", str(tmp_path)]) == 0
    output, aside = capsys.readouterr()
    assert json.loads(output) == found
    assert aside == "registry: told\nat work\n"


def test_again_trains_nothing(tried):
    recipe, store, found, _ = tried
    before = {p: p.stat().st_mtime_ns for p in _records(store)}
    again = cold_start(recipe, SHARE, SEED, store, LocalCompute(), NullTracker())
    assert again == found
    assert {p: p.stat().st_mtime_ns for p in _records(store)} == before


def _records(store):
    from pathlib import Path

    return Path(store.root.uri).rglob("record.json")


def test_another_seed_holds_out_other_items_and_the_setting_bears_identity_only_where_it_counts(tmp_path):
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path))
    plain = to_record(recipe.catalog, identity=True)
    assert not {"cold_share", "cold_seed"} & plain.keys()
    catalogs = []
    for seed in (1, 1, 2):
        wanted = replace(
            recipe, name=f"s{len(catalogs)}", catalog=replace(recipe.catalog, cold_share=0.1, cold_seed=seed)
        )
        assert to_record(wanted.catalog, identity=True)["cold_seed"] == seed
        places = shop.make(wanted, Store(Place.of(tmp_path / str(len(catalogs)))), "catalog")
        catalogs.append(Catalog.read(places["catalog"]))
    assert catalogs[0].item_ids.equals(catalogs[1].item_ids)
    assert set(catalogs[0].item_ids.to_pylist()) != set(catalogs[2].item_ids.to_pylist())
    assert all(require(c.place, "catalog").counts["held_out"] == 6 for c in catalogs)


@pytest.mark.parametrize(
    ("share", "message"), [(0.0, "holds out nothing; must be above 0"), (1.0, "must be at least 0 and below 1")]
)
def test_a_share_that_cannot_be_is_refused_before_anything_is_trained(share, message):
    with pytest.raises(ConfigError, match=message):
        Recipes.of(shop.recipe("items", "rows"), share, SEED)


def test_chance_is_what_drawing_at_random_gives(place):
    users = [[0, 1, 2, 3], [4, 5, 4], [1, 0, 9]]
    catalog = Catalog.read(ring.write_catalog(place, users, 10))
    rows = catalog.samples(TEST)
    assert catalog.item[rows].tolist() == [3, 4, 9]
    random = np.random.default_rng(0)
    for first, exclude in ((0, False), (0, True), (2, True)):
        expected = []
        for row, (past, target) in zip(rows, (([0, 1, 2], 3), ([4, 5], 4), ([1, 0], 9)), strict=True):
            pool = [i for i in range(first, 10) if not (exclude and i in past)]
            draws = [target in random.choice(pool, 3, replace=False) for _ in range(4000)]
            expected.append(np.mean(draws))
            assert row >= 0
        found = chance(catalog, rows, first, (3,), exclude)[3]
        assert found == pytest.approx(np.mean(expected), abs=0.02)


def test_a_share_that_leaves_nothing_to_try_is_refused(tmp_path, place):
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path))
    store = Store(Place.of(tmp_path / "store"))
    with pytest.raises(DataError, match=r"catalog\.cold_share: 0\.001 of 60 items holds out 0"):
        cold_start(recipe, 0.001, 1, store, LocalCompute(), NullTracker())
    with pytest.raises(ConfigError, match="catalog.cold_share: is 1; must be at least 0 and below 1"):
        cold_start(recipe, 1, 1, store, LocalCompute(), NullTracker())
    catalog = Catalog.read(ring.write_catalog(place, [[0, 1, 2, 3]], 10))
    with pytest.raises(DataError, match="none of the 1 test samples has as target one of the 2 new items"):
        targeted(catalog, 8)
