"""Weights of kinds of event: what they reach, what they leave alone, and what is refused."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from tests.stages.catalog.test_policies import ONE_OUT, START, said, walks
from tests.stages.test_catalog import make, shop
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table, write_table
from unisid.baselines import itemknn
from unisid.config import fingerprint, from_record, to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.layers.recall import Memory, MemoryConfig
from unisid.recipes import configure, find
from unisid.stages import graph
from unisid.stages.graph.edges import Edges

KINDS = ("view", "Add to cart", "4.5")
WEIGHTS = {"view": 1.0, "Add to cart": 3.0, "4.5": 10.0}


def with_column(folder, rows, setting, name, values, **settings):
    """A shop whose interactions have one more column, by row, named by a setting of the dataset."""
    config = shop(folder, rows, **ONE_OUT | settings)
    lines = (folder / "rows.csv").read_text().splitlines()
    words = [name, *values]
    (folder / "rows.csv").write_text("".join(f"{line},{k}\n" for line, k in zip(lines, words, strict=True)))
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, **{setting: name}))


def of_kinds(folder, rows, kinds, **settings):
    """A shop whose interactions are of these kinds, by row."""
    return with_column(folder, rows, "event", "event", kinds, **settings)


@pytest.fixture
def events(tmp_path):
    rows = walks([START + n for n in range(6)])
    return of_kinds(tmp_path, rows, [KINDS[n % 3] for n in range(len(rows))])


def edges(read):
    return Edges.read(read.place, graph.Config(), torch.device("cpu"))


def test_each_interaction_has_the_weight_of_its_kind(tmp_path, events):
    counts, words = said(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "x"))
    assert counts["weights"] == {
        "view": {"weight": 1.0, "interactions": 12},
        "Add to cart": {"weight": 3.0, "interactions": 12},
        "4.5": {"weight": 10.0, "interactions": 12},
    }
    said_of = "12 weighed 3 each: interactions of the kind 'Add to cart' (catalog.event_weights)"
    assert any(said_of in line for line in words)
    read, _ = make(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "y"))
    kinds = [line.split(",") for line in (tmp_path / "rows.csv").read_text().splitlines()[1:]]
    given = {(user, item, int(time)): WEIGHTS[kind] for user, item, time, kind in kinds}
    names, users = read.item_ids.to_pylist(), read.user_ids.to_pylist()
    where = zip(read.user.tolist(), read.item.tolist(), read.timestamp.tolist(), read.weight.tolist(), strict=True)
    assert {(users[u], names[i], time): weight for u, i, time, weight in where} == given


def test_histories_and_targets_stay_as_they_are(tmp_path, events):
    plain, before = make(events, Place.of(tmp_path / "x"))
    weighed, after = make(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "y"))
    for column in ("user", "item", "timestamp", "split"):
        assert (getattr(plain, column) == getattr(weighed, column)).all()
    assert {k: v for k, v in after.items() if k != "weights"} == before
    assert plain.weight is None
    assert plain.training_weights() is None
    assert "weight" not in read_table(plain.place, "interactions").column_names


def test_a_pair_counts_as_its_strongest_interaction(tmp_path):
    rows = [("u", item, START + n) for n, item in enumerate("aabcde")] + [
        ("v", i, START + n) for n, i in enumerate("abcd")
    ]
    kinds = ["4.5", "view", "Add to cart", "view", "view", "view", "view", "view", "view", "view"]
    read, _ = make(of_kinds(tmp_path, rows, kinds, event_weights=WEIGHTS), Place.of(tmp_path / "x"))
    names, users = read.item_ids.to_pylist(), read.user_ids.to_pylist()
    pairs = zip(*(ends.tolist() for ends in read.training_edges()), read.training_weights().tolist(), strict=True)
    found = {(users[u], names[i]): weight for u, i, weight in pairs}
    assert found == {("u", "a"): 10, ("u", "b"): 3, ("u", "c"): 1, ("v", "a"): 1, ("v", "b"): 1}


def test_weights_reach_the_graph_the_neighbours_and_itemknn(tmp_path, events):
    plain, _ = make(events, Place.of(tmp_path / "x"))
    read, _ = make(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "y"))
    users, items = read.training_edges()
    weights = dict(zip(zip(users.tolist(), items.tolist(), strict=True), read.training_weights().tolist(), strict=True))
    degree = np.bincount(users, list(weights.values())), np.bincount(items, list(weights.values()))
    entry = edges(read).graph.users_items.to_dense()
    for (user, item), weight in weights.items():
        assert entry[user, item] == pytest.approx(weight / math.sqrt(degree[0][user] * degree[1][item]))
    for *_, step in edges(read).batches(graph.Config(), 0):
        assert sorted(step.tolist()) == sorted(weights.values())
    memory = Memory(MemoryConfig(alike=(), words=False), read.num_items)
    memory.count(read, {})
    first = memory.table("next")
    memory.count(plain, {})
    assert not torch.equal(first.values, memory.table("next").values)
    knn = itemknn.Config(shrinkages=(0.0,), decays=(1.0,)).build(read).similarity.toarray()
    vectors = np.zeros((read.num_users, read.num_items))
    vectors[users, items] = list(weights.values())
    cosine = vectors.T @ vectors / np.maximum(np.outer(*[np.linalg.norm(vectors, axis=0)] * 2), 1e-9)
    np.testing.assert_allclose(knn, cosine - np.diag(np.diag(cosine)), atol=1e-6)


def test_weights_of_one_change_nothing(tmp_path, events):
    plain, _ = make(events, Place.of(tmp_path / "x"))
    ones, _ = make(dataclasses.replace(events, event_weights=dict.fromkeys(KINDS, 1.0)), Place.of(tmp_path / "y"))
    assert torch.equal(edges(plain).graph.users_items.to_dense(), edges(ones).graph.users_items.to_dense())
    tables = []
    for read in (plain, ones):
        memory = Memory(MemoryConfig(alike=(), words=False), read.num_items)
        memory.count(read, {})
        tables.append(memory.state_dict())
    assert all(torch.equal(tables[0][name], tables[1][name]) for name in tables[0])
    first, second = (itemknn.Config().build(read).similarity.toarray() for read in (plain, ones))
    assert (first == second).all()


@pytest.mark.parametrize("order", list(itertools.permutations([0, 1, 2])))
def test_of_rows_that_repeat_the_one_that_stays_counts_most(tmp_path, order):
    rows = [("u", item, START) for item in "aaa"] + [("u", item, START + n) for n, item in enumerate("bcd", 1)]
    kinds = [KINDS[n] for n in order] + ["view"] * 3
    config = of_kinds(tmp_path, rows, kinds, event_weights=WEIGHTS, duplicate_rows="drop")
    read, counts = make(config, Place.of(tmp_path / "x"))
    assert counts["dropped"]["duplicate_row"] == 2
    assert read.weight.tolist() == [10, 1, 1, 1]
    assert counts["weights"]["4.5"]["interactions"] == 1


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (
            {"view": 1.0},
            DataError,
            r"the kind 'Add to cart' \(12 interactions\) has no weight; there are: 'view' \(12\)",
        ),
        (WEIGHTS | {"vieww": 2.0}, DataError, r"no interaction is a 'vieww'; did you mean 'view'\?; there are: 'view'"),
        (WEIGHTS | {"view": -1.0}, ConfigError, r"event_weights.view: is -1.0; must be above 0"),
        (WEIGHTS | {"view": 0.0}, ConfigError, r"event_weights.view: is 0.0; must be above 0"),
        (WEIGHTS | {"view": math.nan}, ConfigError, r"event_weights.view: is nan; must be a finite number above 0"),
        (WEIGHTS | {"view": math.inf}, ConfigError, r"event_weights.view: is inf; must be a finite number above 0"),
        (WEIGHTS | {"view": "much"}, ConfigError, r"event_weights.view: is 'much'; must be a number above 0"),
        (WEIGHTS | {" view": 1.0}, ConfigError, r"event_weights: has the name ' view'; must be at most 200 characters"),
        (WEIGHTS | {7: 1.0}, ConfigError, r"event_weights: has the name 7; must be at most 200 characters"),
        ([1.0], ConfigError, r"event_weights: is \[1.0\]; must be values by name"),
    ],
)
def test_refuses(tmp_path, events, weights, error, words):
    with pytest.raises(error, match=words):
        make(dataclasses.replace(events, event_weights=weights), Place.of(tmp_path / "x"))


def test_only_the_kinds_that_are_kept_have_weights(tmp_path, events):
    config = dataclasses.replace(events, events=("view",), event_weights={"view": 2.0})
    read, counts = make(config, Place.of(tmp_path / "x"))
    assert (read.weight == 2.0).all()
    assert counts["weights"] == {"view": {"weight": 2.0, "interactions": 12}}
    with pytest.raises(ConfigError, match=r"weighs view, 4.5, while catalog.events keeps view; must weigh the kinds"):
        dataclasses.replace(events, events=("view",), event_weights={"view": 2.0, "4.5": 1.0})
    unnamed = dataclasses.replace(events, dataset=dataclasses.replace(events.dataset, event=""))
    with pytest.raises(
        DataError, match=r"catalog.event_weights: view are to weigh, .* name it as catalog.dataset.event"
    ):
        make(dataclasses.replace(unnamed, event_weights={"view": 2.0}), Place.of(tmp_path / "y"))


def test_interactions_without_a_kind_can_be_weighed_by_the_empty_name(tmp_path):
    rows = walks([START + n for n in range(6)])
    config = of_kinds(tmp_path, rows, ["view" if n % 2 else "" for n in range(len(rows))])
    with pytest.raises(DataError, match=r"the kind '' \(18 interactions\) has no weight"):
        make(dataclasses.replace(config, event_weights={"view": 2.0}), Place.of(tmp_path / "x"))
    read, _ = make(dataclasses.replace(config, event_weights={"view": 2.0, "": 0.5}), Place.of(tmp_path / "y"))
    assert np.bincount((read.weight * 2).astype(int)).tolist() == [0, 18, 0, 0, 18]


def test_identity_is_as_it_was_without_weights():
    config = find("demo").catalog
    assert "event_weights" not in to_record(config, identity=True)
    weighed = dataclasses.replace(config, event_weights=WEIGHTS)
    assert fingerprint(to_record(weighed, identity=True)) != fingerprint(to_record(config, identity=True))
    assert from_record(type(config), to_record(weighed)) == weighed


def test_weights_are_given_on_the_command_line_under_the_names_of_the_kinds():
    words = [
        "--catalog.event_weights.view",
        "1",
        "--catalog.event-weights.add-to-cart=3",
        "--catalog.event_weights.4.5",
    ]
    assert configure(find("demo"), [*words, "10"]).catalog.event_weights == {
        "view": 1.0,
        "add-to-cart": 3.0,
        "4.5": 10.0,
    }
    with pytest.raises(ConfigError, match=r"catalog.event_weights.view: is -1.0; must be above 0"):
        configure(find("demo"), ["--catalog.event_weights.view", "-1"])
    with pytest.raises(ConfigError, match=r"catalog.event_weights.view: 'x' is not of type float"):
        configure(find("demo"), ["--catalog.event_weights.view", "x"])


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_a_damaged_weight_is_an_error_of_the_artifact(tmp_path, events, wrong):
    read, _ = make(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "x"))
    table = read_table(read.place, "interactions")
    values = table["weight"].to_numpy().copy()
    values[3] = wrong
    write_table(read.place, "interactions", 0, table.set_column(4, "weight", [values]))
    with pytest.raises(ArtifactError, match="weight"):
        _ = dataclasses.replace(read).weight


def test_all_edges_of_a_leaky_graph_have_weights(tmp_path, events):
    read, _ = make(dataclasses.replace(events, event_weights=WEIGHTS), Place.of(tmp_path / "x"))
    assert len(read.edge_weights(slice(None))) == len(read.edges(slice(None))[0]) > len(read.training_edges()[0])
