"""All codes at once: the formulas by plain loops, symmetries, and the walk beside exact scores."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.backbones.models import index_of
from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.backbones import PAD, Batch, Index, Limits
from unisid.backbones.parallel import Config
from unisid.errors import ArtifactError, ConfigError
from unisid.layers.history import LATELY
from unisid.layers.recall import MemoryConfig

SIZES, N = (4, 3, 5, 4), 40
VECTORS = {"fused": np.random.default_rng(1).normal(size=(N, 7)).astype(np.float32)}
CODES = index_of(SIZES, N).codes.numpy()
INDEX = Index.of(CODES, SIZES, VECTORS)
CONFIG = Config(
    width=16,
    num_heads=2,
    feedforward_width=32,
    temperature=0.2,
    max_length=16,
    memory=MemoryConfig(recalled=12, neighbours=8, alike=("fused",)),
)
HISTORIES = torch.tensor([[3, 17, 29, 3, 8], [11, 2, 39, PAD, PAD], [5, PAD, PAD, PAD, PAD]])
STARTS = (0, 4, 7, 12)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    return Catalog.read(ring.write_catalog(place, ring.walks(60, N), N))


def made(catalog, config=CONFIG, index=INDEX):
    torch.manual_seed(0)
    model = config.build(index)
    model.count(catalog, index)
    for parameter in model.parameters():  # steps that begin at 0 must count in these tests
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(scope="module")
def model(catalog):
    return made(catalog)


@torch.no_grad()
def expected_log_probs(model, history, item):
    """By plain loops over levels and codes, from the state."""
    state = model.hidden(torch.tensor([history]), INDEX)[0, -1]
    total = []
    for level, size in enumerate(SIZES):
        inner = state @ model.steps[level] + model.step_biases[level, 0]
        query = state + inner / (1 + (-inner).exp())
        rows = [model.codes.weight[STARTS[level] + code] for code in range(size)]
        cosines = torch.stack([query @ row / (query.norm() * row.norm()) for row in rows])
        total.append((cosines / 0.2).softmax(0)[CODES[item, level]].log())
    return torch.stack(total)


@torch.no_grad()
def test_every_level_is_a_softmax_of_cosines(model):
    for row, history in enumerate(([3, 17, 29, 3, 8], [11, 2, 39], [5])):
        found = model.log_probs(HISTORIES, torch.full((3,), 31), INDEX)[row]
        assert torch.allclose(found, expected_log_probs(model, history, 31), atol=1e-5)


@torch.no_grad()
def test_an_items_vector_is_the_mean_of_its_codes(model):
    vector = torch.stack([model.codes.weight[STARTS[level] + CODES[9, level]] for level in range(4)]).mean(0)
    assert torch.allclose(model.item_vectors(INDEX.tokens(torch.tensor([9])))[0], vector, atol=1e-6)


@torch.no_grad()
def test_exact_scores_are_the_sums_of_the_levels_and_probabilities_of_all_tuples_add_up_to_one():
    every = index_of((3, 2, 3), 18)
    torch.manual_seed(0)
    model = dataclasses.replace(CONFIG, memory=None).build(every).eval()
    model.steps.normal_(std=0.1)
    history = torch.tensor([[3, 17, 8]])
    found = model.search(history, every, k=18, beam=18)
    for item, score in zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True):
        assert abs(float(model.log_probs(history, torch.tensor([item]), every).sum()) - score) < 1e-5
    assert abs(float(found.scores.exp().sum()) - 1) < 1e-5


@torch.no_grad()
def test_the_loss_is_the_mean_over_positions_and_levels_each_after_its_own_history(model):
    window = [7, 9, 11, 13, 15, 17]
    batch = Batch(torch.tensor([window[:5]]), torch.tensor([window[1:]]))
    total = [expected_log_probs(model, window[: place + 1], window[place + 1]) for place in range(5)]
    assert abs(float(model.loss(batch, INDEX)) + float(torch.stack(total).mean())) < 1e-5


@torch.no_grad()
def test_another_order_of_the_levels_is_the_same_model(model, catalog):
    order = [2, 0, 3, 1]
    index = Index.of(CODES[:, order], tuple(SIZES[level] for level in order), VECTORS)
    other = made(catalog, index=index)
    other.load_state_dict({**model.state_dict(), "codes.weight": other.codes.weight})
    rows = [torch.arange(STARTS[level], STARTS[level] + SIZES[level]) for level in order]
    other.codes.weight.copy_(model.codes.weight[torch.cat(rows)])
    other.steps.copy_(model.steps[order])
    other.step_biases.copy_(model.step_biases[order])
    batch = Batch(torch.tensor([[7, 9, 11]]), torch.tensor([[9, 11, 13]]))
    assert torch.allclose(other.loss(batch, index), model.loss(batch, INDEX), atol=1e-6)
    ours, theirs = (m.search(HISTORIES, i, k=N, beam=N) for m, i in ((model, INDEX), (other, index)))
    assert torch.allclose(ours.scores, theirs.scores, atol=1e-4)


@torch.no_grad()
def test_the_length_of_a_codes_vector_changes_no_score_of_a_level(model, catalog):
    scaled = made(catalog)
    states = scaled.last_states(HISTORIES, INDEX)
    before = scaled.level_log_probs(states)
    scaled.codes.weight.mul_(torch.linspace(0.5, 7, 16)[:, None])
    assert torch.allclose(scaled.level_log_probs(states), before, atol=1e-5)


@pytest.mark.parametrize("memory", [None, CONFIG.memory])
@pytest.mark.parametrize("limited", [False, True])
@torch.no_grad()
def test_a_walk_along_a_whole_graph_finds_what_the_scores_of_all_items_say(catalog, limited, memory):
    config = dataclasses.replace(CONFIG, memory=memory, decode="graph", edges=N, rounds=1)
    walking, exact = made(catalog, config), made(catalog, dataclasses.replace(config, decode="exact"))
    limits = Limits(HISTORIES, torch.arange(N) % 7 > 0) if limited else Limits()
    for model in (walking, exact):
        model.part_weights.values[:, 1:3] = torch.tensor([0.4, -0.7])
    ours, theirs = (model.search(HISTORIES, INDEX, k=N, beam=N, limits=limits) for model in (walking, exact))
    assert torch.equal(ours.items, theirs.items)
    assert torch.allclose(ours.scores, theirs.scores, atol=1e-4)
    narrow = walking.search(HISTORIES, INDEX, k=3, beam=3, limits=limits)
    if memory is None and not limited:
        raw = exact.last_states(HISTORIES, INDEX)
        best = next(exact.head_parts(raw, INDEX)).topk(3, dim=1).indices
        assert set(narrow.items[0].tolist()) == set(best[0].tolist())


@torch.no_grad()
def test_a_sparse_walk_answers_items_with_the_scores_that_they_have_among_all(catalog):
    walking = made(catalog, dataclasses.replace(CONFIG, decode="graph", edges=3, rounds=1))
    exact = made(catalog).search(HISTORIES, INDEX, k=N, beam=N)
    found = walking.search(HISTORIES, INDEX, k=4, beam=4)
    for row in range(3):
        whole = dict(zip(exact.items[row].tolist(), exact.scores[row].tolist(), strict=True))
        assert len(set(found.items[row].tolist())) == 4
        for item, score in zip(found.items[row].tolist(), found.scores[row].tolist(), strict=True):
            assert abs(whole[item] - score) < 1e-4


@torch.no_grad()
def test_where_the_walk_meets_too_few_that_may_be_answered_all_are_scored(catalog):
    walking = made(catalog, dataclasses.replace(CONFIG, decode="graph", edges=1, rounds=1))
    limits = Limits(allowed=torch.arange(N) >= N - 6)
    found = walking.search(HISTORIES, INDEX, k=6, beam=6, limits=limits)
    assert found.items.sort(1).values.tolist() == [list(range(N - 6, N))] * 3


@torch.no_grad()
@pytest.mark.parametrize("memory", [None, CONFIG.memory], ids=["no memory", "memory"])
def test_new_items_are_raised_and_walked_to(catalog, memory):
    whole = index_of(SIZES, N + 12)
    added = np.random.default_rng(2).normal(size=(12, 7)).astype(np.float32)
    index = Index.of(whole.codes.numpy(), SIZES, {"fused": np.concatenate([VECTORS["fused"], added])})
    found = {}
    for decode, edges in (("exact", 1), ("graph", N + 12), ("graph", 3)):
        config = dataclasses.replace(CONFIG, memory=memory, decode=decode, edges=edges, rounds=1)
        model = config.build(index)
        model.load(made(catalog, config).weights(), index)
        assert model.eval().weigh_new(catalog, index, 0.9) != 0
        found[decode, edges] = model.search(HISTORIES, index, k=20, beam=N + 12)
    exact, walked, sparse = found.values()
    assert (exact.items >= N).sum() > 12
    assert torch.equal(walked.items, exact.items)
    assert torch.allclose(walked.scores, exact.scores, atol=1e-4)
    assert (sparse.items >= N).any(1).all()


@torch.no_grad()
def test_the_graph_is_made_anew_after_training(catalog):
    walking = made(catalog, dataclasses.replace(CONFIG, decode="graph"))
    walking.search(HISTORIES, INDEX, k=3, beam=3)
    assert walking.graph is not None
    walking.train()
    assert walking.eval().graph is None


@torch.no_grad()
def test_whether_an_item_was_taken_is_a_part_of_its_score(catalog):
    model = made(catalog, dataclasses.replace(CONFIG, memory=None))
    plain = model.search(HISTORIES, INDEX, k=N, beam=N)
    model.part_weights.values[0, 1:] = torch.tensor([-9.0, 2.0])
    found = model.search(HISTORIES, INDEX, k=N, beam=N)
    before, after = (dict(zip(r.items[0].tolist(), r.scores[0].tolist(), strict=True)) for r in (plain, found))
    moved = {item: after[item] - before[item] for item in range(N) if abs(after[item] - before[item]) > 1e-3}
    ages = {8: 0, 3: 1, 29: 2, 17: 3}  # 3 was taken twice: its latest place counts
    assert moved.keys() == ages.keys()
    for item, age in ages.items():
        assert abs(moved[item] - (-9 + 2 * LATELY**age)) < 1e-4


@torch.no_grad()
def test_validation_finds_that_nothing_is_taken_twice_although_it_excludes_the_history(catalog):
    """Targets are what the network itself puts first among items that were not taken."""
    model = made(catalog, dataclasses.replace(CONFIG, memory=None))
    histories = torch.arange(N).view(-1, 4)
    limits = Limits(excluded=histories, taken=histories)
    targets = model.search(histories, INDEX, k=1, beam=1, limits=limits).items[:, 0]
    weights = model.blend([(Batch(histories, targets), limits)] * 20, INDEX, lambda tensor: tensor)
    assert list(weights)[:3] == ["weight_codes", "weight_taken", "weight_taken_lately"]
    assert weights["weight_taken"] < -1
    allowed = model.search(histories, INDEX, k=1, beam=1, limits=Limits(taken=histories))
    assert (allowed.items[:, :1] == histories).any(1).sum() == 0


@torch.no_grad()
def test_an_extended_index_ranks_new_items_by_their_codes(catalog):
    model, whole = made(catalog), index_of(SIZES, N + 12)
    added = np.random.default_rng(2).normal(size=(12, 7)).astype(np.float32)
    index = Index.of(whole.codes.numpy(), SIZES, {"fused": np.concatenate([VECTORS["fused"], added])})
    grown = CONFIG.build(index)
    grown.load(model.weights(), index)
    grown.eval()
    found = grown.search(HISTORIES, index, k=N + 12, beam=N + 12)
    assert set(found.items[0].tolist()) == set(range(N + 12))
    assert torch.allclose(
        grown.log_probs(HISTORIES, torch.tensor([1, 2, 3]), index),
        model.log_probs(HISTORIES, torch.tensor([1, 2, 3]), INDEX),
    )
    assert grown.memory.table("like_fused").items[:N].max() >= N  # a new item is recalled by what it is like


def test_histories_longer_than_it_reads_are_refused_before_learning(catalog):
    with pytest.raises(ConfigError, match="parallel.max_length: is 3, the catalogue's histories have 6 items"):
        made(catalog, dataclasses.replace(CONFIG, max_length=3))


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="parallel: width 30 over 4 heads; must divide evenly"):
        Config(width=30, num_heads=4)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("decode", ["exact", "graph"])
def test_weights_that_are_no_finite_numbers_are_an_error_and_no_answer(catalog, value, decode):
    model = made(catalog, dataclasses.replace(CONFIG, decode=decode))
    model.transformer.norm.weight.data[0] = value
    with pytest.raises(ArtifactError, match="scores that are NaN or infinite"):
        model.search(HISTORIES, INDEX, k=5, beam=5)
