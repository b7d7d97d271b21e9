"""A model that goes on from a trained one: what it begins with, what it refuses, and what its record says."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.figures import of_epochs
from tests.stages import ring
from tests.stages.test_model import CONFIG, N, inputs, make, weights  # noqa: F401, `inputs` is a fixture
from tests.versions import shop
from unisid import recipes
from unisid.artifacts.codes import write_codes
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.backbones import hierarchical
from unisid.compute import Pool
from unisid.config import from_record, to_record
from unisid.errors import ArtifactError, ConfigError, DriftError
from unisid.pipeline import Recipe, plan
from unisid.report.tables import plan_tree
from unisid.reproduce import reproduce
from unisid.runtime.local import LocalCompute
from unisid.stages import model
from unisid.stages.extension import Base
from unisid.training.loop import Training

SHORT = replace(CONFIG, training=replace(CONFIG.training, epochs=2))


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):  # noqa: F811
    out = Place.of(tmp_path_factory.mktemp("older") / "model")
    config = replace(CONFIG, training=replace(CONFIG.training, epochs=10))
    return Base.of(out, "model") if make(config, inputs, out) else None


def scores(said):
    figures = of_epochs(each for each in said if isinstance(each, dict))
    return {values["epoch"]: values["valid_score"] for values in figures}


def test_it_begins_where_the_other_ended(inputs, trained, place):  # noqa: F811
    reached = require(Place(trained.place), "model").counts["valid_ndcg_10"]
    fresh, further = [], []
    make(SHORT, inputs, place / "fresh", fresh)
    counts = make(replace(SHORT, starts_from=trained), inputs, place / "further", further)
    assert scores(further)[0] == pytest.approx(reached, rel=1e-6)
    assert sorted(scores(fresh)) == [1, 2]
    assert sorted(scores(further)) == [0, 1, 2]
    assert max(scores(fresh).values()) < reached
    assert counts["valid_ndcg_10"] == max(scores(further).values()) >= reached


def test_weights_that_training_only_harms_are_kept_as_they_were(inputs, trained, place):  # noqa: F811
    harmful = replace(SHORT, starts_from=trained, training=replace(SHORT.training, learning_rate=3.0))
    counts = make(harmful, inputs, place / "model")
    assert counts["best_epoch"] == 0
    before, after = weights(Place(trained.place)), weights(place / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_two_workers_begin_with_the_same_weights(inputs, trained, place):  # noqa: F811
    said = []
    config = replace(SHORT, starts_from=trained, pool=Pool(workers=2))
    make(config, inputs, place / "model", said)
    assert scores(said)[0] == pytest.approx(require(Place(trained.place), "model").counts["valid_ndcg_10"], abs=1e-6)


def test_a_fit_that_was_killed_does_not_begin_again(inputs, trained, place):  # noqa: F811
    class StruckError(Exception):
        pass

    def strike(values):
        if values["epoch"] == 1:
            raise StruckError

    config, said = replace(SHORT, starts_from=trained), []
    job = ring.job(config, inputs, place / "struck", LocalCompute())
    with pytest.raises(StruckError):
        model.make(dataclasses.replace(job, report=strike))
    model.make(dataclasses.replace(job, report=said.append))
    assert sorted(scores(said)) == [2]
    make(config, inputs, place / "undisturbed")
    one, other = weights(place / "struck"), weights(place / "undisturbed")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_backbone_is_refused_by_its_settings(inputs, trained, place):  # noqa: F811
    wider = replace(SHORT, backbone=replace(SHORT.backbone, width=32), starts_from=trained)
    with pytest.raises(ConfigError, match=r"model/ring/1 has another backbone:\n    width: 64 -> 32"):
        make(wider, inputs, place / "model")
    other = replace(SHORT, backbone=hierarchical.Config(), starts_from=trained)
    with pytest.raises(ConfigError, match="kind: tiger -> hierarchical"):
        make(other, inputs, place / "model")


def test_an_index_of_other_semantic_ids_is_refused(inputs, trained, place):  # noqa: F811
    other = {**inputs, "codes": ring.write_index(place / "codes", N, seed=9)}
    with pytest.raises(ArtifactError, match=r"model.starts_from: .* was trained on the codes codes/ring/1"):
        make(replace(SHORT, starts_from=trained), other, place / "model")


def test_an_index_that_extends_its_own_is_taken(inputs, trained, place):  # noqa: F811
    """The extension says which index it goes on from; here it adds nothing."""
    base = ring.entry(inputs["codes"], "codes")["codes"]
    chosen = np.random.default_rng(3).permutation(np.prod(ring.SIZES))[:N]
    write_codes(place / "codes", np.stack(np.unravel_index(chosen, ring.SIZES), axis=1), ring.SIZES)
    spoken = {base["fingerprint"]: list(ring.SIZES)}
    counts = {"sizes": list(ring.SIZES), "extension": {"spoken": spoken}}
    ring.record(place / "codes", "codes", {}, counts, {"base": base})
    said = []
    make(replace(SHORT, starts_from=trained), {**inputs, "codes": place / "codes"}, place / "model", said)
    assert scores(said)[0] > 0.5


def test_another_model_in_its_place_is_refused(inputs, trained, place):  # noqa: F811
    other = replace(trained, fingerprint="0" * 64)
    with pytest.raises(ArtifactError, match=r"model/ring/1: has the .*, 000000000000 is to be gone on from"):
        make(replace(SHORT, starts_from=other), inputs, place / "model")


def test_what_is_left_out_bears_no_identity():
    assert "starts_from" not in to_record(model.Config(), identity=True)
    older = Base(fingerprint="f" * 64, address="model/a/1", place="/somewhere")
    assert to_record(model.Config(starts_from=older), identity=True)["starts_from"] == {"fingerprint": "f" * 64}
    assert from_record(model.Config, to_record(model.Config(starts_from=older))).starts_from == older


# In a store, by address


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    found = Store(Place.of(folder / "store"))
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    shop.make(recipe, found, "model")
    return found, recipe


def second(recipe: Recipe, *words: str) -> Recipe:
    return recipes.configure(recipe, ["--version", "2", "--model.starts-from", "model/shop/1", *words])


def test_an_address_is_enough_and_stands_in_plan_and_record(store):
    store, recipe = store
    further = second(recipe)
    assert further.model.starts_from == Base(address="model/shop/1")
    assert second(recipe, "--model.training.epochs", "2").model.training == Training(epochs=2)
    before = require(store.place(shop.at("model")), "model").fingerprint
    entry = plan(further, store, "model")[-1]
    assert entry.state == "to make"
    assert entry.inputs["start"] == {"address": "model/shop/1", "fingerprint": before}
    assert "start model/shop/1" in plan_tree(plan(further, store, "model"))
    shop.make(further, store, "model")
    record = require(store.place(shop.at("model", "2")), "model")
    assert record.inputs["start"] == {"address": "model/shop/1", "fingerprint": before}
    assert record.config["starts_from"] == {"fingerprint": before}
    assert [entry.state for entry in plan(further, store, "model")] == ["shared"] * 6 + ["complete"]
    assert plan(replace(recipe, version="3"), store, "model")[-1].state == "shared"  # as ever, without a start


def test_another_start_under_the_same_name_is_drift(store):
    store, recipe = store
    shop.make(second(recipe), store, "model")
    shop.make(replace(recipe, version="7", model=replace(recipe.model, beam=21)), store, "model")
    other = recipes.configure(recipe, ["--version", "2", "--model.starts-from=model/shop/7"])
    with pytest.raises(DriftError, match=r"model/shop/2: was made from other(?s:.*)starts_from.fingerprint"):
        shop.make(other, store, "model")
    with pytest.raises(DriftError, match=r"starts_from.fingerprint: .* -> \(absent\)"):
        shop.make(replace(recipe, version="2", model=replace(recipe.model, beam=22)), store, "model")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (
            ["--version", "1"],
            ConfigError,
            "model/shop/1 is the model that this recipe makes; give the run another name",
        ),
        (["--model.starts-from", "model/shop/9"], ArtifactError, "model/shop/9: no complete model here"),
        (["--model.starts-from", "codes/shop/1"], ArtifactError, "is codes, not model"),
        (["--model.starts-from", "shop"], ConfigError, "address 'shop': must be noun/name/version"),
        (["--model.starts-from", ""], ConfigError, "address '': must be noun/name/version"),
    ],
)
def test_what_is_no_other_model_is_refused_when_it_is_planned(store, words, error, message):
    store, recipe = store
    with pytest.raises(error, match=message):
        plan(second(recipe, *words), store)


def test_it_is_made_again_with_the_model_that_it_starts_from(store, tmp_path):
    store, recipe = store
    shop.make(second(recipe), store, "model")
    into = Store(Place.of(tmp_path))
    found = reproduce(Address("model", "shop", "2"), store, into, LocalCompute())
    assert [str(one.address) for one in found if one.address.noun == "model"] == ["model/shop/1", "model/shop/2"]
    assert [one.differing for one in found] == [()] * len(found)
