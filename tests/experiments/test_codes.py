"""Ids side by side: the figures are the evaluator's, planted structure is seen, and predictions know their error."""

import numpy as np
import pytest

from tests.exchange import packages
from tests.stages.test_codes import clusters
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.shards import write_array
from unisid.artifacts.store import Store
from unisid.errors import DataError
from unisid.evaluation.index import describe, gini
from unisid.experiments.codes import LEAST, ItemData, figures, predicted
from unisid.report.judgement import indexes


@pytest.fixture
def shop(place) -> tuple[Store, Catalog]:
    """A catalog of eight clusters of six items, with their vectors as text's."""
    store, vectors = Store(place), clusters(each=6)
    catalog = packages.write_catalog(store, len(vectors))
    entry = {"catalog": {"address": "catalog/t/1", "fingerprint": require(catalog, "catalog").fingerprint}}
    counts = {"width": 12, "has_states": False, "num_layers": 0, "valid": {}}
    out = store.place(packages.at("embeddings"))
    write_array(out, "states", {"pooled": vectors})
    write_record(out, Record(address="embeddings/t/1", config={}, inputs=entry, counts=counts))
    return store, Catalog.read(catalog)


def test_ids_of_the_clusters_are_told_from_ids_at_random(shop):
    around = ItemData.of(*shop)
    assert around.graph is None
    good = np.stack([np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)], 1).astype(np.int32)
    bad = good[np.random.default_rng(0).permutation(48)]
    one, two = (figures(codes, (8, 6), around) for codes in (good, bad))
    assert one["text neighbours"] > two["text neighbours"]
    assert one["purity"][0] > two["purity"][0]
    for name in ("usage", "entropy"):
        assert one[name] == describe(good, (8, 6))[name]
    assert one["distinct"] == 1
    assert one["gini"] == [0]
    assert 0 <= one["next by prefix"] <= 1
    assert "next by vector" not in one
    assert "graph neighbours" not in one
    assert one["gini of ids"] == 0
    shown = indexes({"good": one, "bad": two}, "catalog/t/1")
    assert "2 indexes of catalog/t/1" in shown
    assert "text neighbours" in shown


def test_next_items_are_sought_by_the_vectors_of_each_index(place):
    """The users take items one after the other: neighbours on a ring are found, in noise few are."""
    catalog = Catalog.read(packages.write_catalog(Store(place), 200))
    turn = 2 * np.pi * np.arange(200) / 200
    ring = np.column_stack([np.cos(turn), np.sin(turn)]).astype(np.float32)
    noise = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    around, codes = ItemData.of(Store(place), catalog), np.arange(200, dtype=np.int32)[:, None]
    good, bad = (figures(codes, (200,), around, vectors=made.__getitem__)["next by vector"] for made in (ring, noise))
    assert good == 1
    assert bad < 0.7


def test_ids_that_several_items_share_are_unequal(shop):
    codes = np.array([[0, 0]] * 3 + [[n // 8, n % 8] for n in range(1, 46)], np.int32)
    found = figures(codes, (6, 8), ItemData.of(*shop))
    counts = np.array([1] * 45 + [3])
    assert found["gini of ids"] == pytest.approx(gini(counts))
    assert found["gini of ids"] > 0
    assert len(found["gini"]) == 1


def test_a_catalog_without_vectors_has_the_figures_of_codes_alone(place):
    catalog = Catalog.read(packages.write_catalog(Store(place), 4))
    found = figures(np.array([[0], [0], [1], [2]], np.int32), (5,), ItemData.of(Store(place), catalog))
    assert found["distinct"] == 0.75
    assert found["usage"] == [0.6]
    assert found["largest collision"] == 2
    assert "purity" not in found
    taken = 1 + np.bincount(catalog.training_edges()[1], minlength=4)
    first, second, third = sorted([taken[0] + taken[1], taken[2], taken[3]])
    total = first + second + third
    assert found["gini by interactions"] == [pytest.approx(4 / 3 - 2 * (3 * first + 2 * second + third) / (3 * total))]


def table(ndcg, **columns):
    names = [f"i{n}" for n in range(len(ndcg))]
    figures = {name: {c: values[n] for c, values in columns.items()} for n, name in enumerate(names)}
    return {"indexes": figures, "ndcg": dict(zip(names, ndcg, strict=True))}


OWN = {"usage": [0.5], "entropy": [0.5], "gini": [0.2], "next by prefix": 0.3, "distinct": 0.9}


def test_the_figure_that_predicts_is_found_and_its_error_is_that_of_indexes_left_out():
    random = np.random.default_rng(0)
    x = random.random(8)
    found = predicted(table((0.1 + 0.2 * x).tolist(), **{"next by prefix": x.tolist(), "gini": random.random(8)}), OWN)
    assert found.figure == "next by prefix"
    assert found.value == pytest.approx(0.16)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.by_mean > 0.01
    assert found.indexes == 8


def test_where_nothing_predicts_it_is_said():
    found = predicted(table([0.1, 0.2, 0.1, 0.2, 0.1, 0.2], gini=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), OWN)
    assert found.error > found.by_mean
    shown = indexes({"a": OWN | {"predicted": vars(found)}}, "c")
    assert "no better than the mean of the others" in shown


def test_seeds_of_one_index_count_once_and_few_indexes_predict_nothing():
    few = table([0.1, 0.2, 0.3, 0.4], gini=[0.1, 0.1, 0.2, 0.2])
    assert len(few["indexes"]) == LEAST
    assert predicted(few, OWN) is None
    assert "no NDCG is predicted" in indexes({"a": OWN | {"predicted": None}}, "c")


def test_another_file_is_refused():
    with pytest.raises(DataError, match="holds no indexes with their NDCG"):
        predicted({"indexes": {}}, OWN)
