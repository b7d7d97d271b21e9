"""The hierarchical softmax, its dense head, what is added to both, and an index that grew."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.backbones.models import index_of
from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.backbones import PAD, Batch, Index, Limits
from unisid.backbones.hierarchical import Config
from unisid.backbones.hierarchical import model as hierarchical_model
from unisid.backbones.hierarchical import search as hierarchical_search
from unisid.backbones.hierarchical.search import dense_log_probs, trie_log_probs
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError
from unisid.layers.part_weights import PartWeights
from unisid.layers.recall import MemoryConfig

SIZES, N = (4, 5, 6), 40
VECTORS = {"fused": np.random.default_rng(1).normal(size=(N, 7)).astype(np.float32)}
CODES = index_of(SIZES, N).codes.numpy()
INDEX = Index.of(CODES, SIZES, VECTORS)
CONFIG = Config(
    width=16,
    num_heads=2,
    feedforward_width=32,
    content=("fused",),
    content_width=5,
    max_length=16,
    memory=MemoryConfig(recalled=12, neighbours=8, alike=("fused",)),
)
HISTORIES = torch.tensor([[3, 17, 29, 3, 8], [11, 2, 39, PAD, PAD], [5, PAD, PAD, PAD, PAD]])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    place = Place.of(tmp_path_factory.mktemp("ring"))
    return Catalog.read(ring.write_catalog(place, ring.walks(60, N), N))


def made(catalog, config=CONFIG, index=INDEX):
    torch.manual_seed(0)
    model = config.build(index)
    model.count(catalog, index)
    for parameter in model.parameters():  # terms that begin at 0 must count in these tests
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(scope="module")
def model(catalog):
    return made(catalog)


@torch.no_grad()
def test_the_probabilities_of_all_items_add_up_to_one_in_each_head(model):
    states = model.last_states(HISTORIES, INDEX)
    for head in (trie_log_probs, dense_log_probs):
        found = head(model, states, INDEX)
        assert found.shape == (3, N)
        assert torch.allclose(found.exp().sum(1), torch.ones(3), atol=1e-5)


@torch.no_grad()
def test_the_paths_log_probabilities_are_those_of_all_items(model):
    whole = trie_log_probs(model, model.last_states(HISTORIES, INDEX), INDEX)
    for item in (0, 8, 31):
        targets = torch.full((3,), item)
        by_level = model.log_probs(HISTORIES, targets, INDEX)
        assert (by_level <= 1e-6).all()
        assert torch.allclose(by_level.sum(1), whole[:, item], atol=1e-4)


@pytest.mark.parametrize("memory", [None, CONFIG.memory])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("limited", [False, True])
@torch.no_grad()
def test_wide_beams_find_what_the_scores_of_all_items_say(catalog, monkeypatch, dense, limited, memory):
    model = made(catalog, dataclasses.replace(CONFIG, dense=dense, memory=memory))
    limits = Limits(HISTORIES, torch.arange(N) % 7 > 0) if limited else Limits()
    exact = model.search(HISTORIES, INDEX, k=N, beam=N, limits=limits)
    monkeypatch.setattr(hierarchical_model, "EXACT", 0)
    beams = model.search(HISTORIES, INDEX, k=N, beam=N, limits=limits)
    assert torch.equal(beams.items, exact.items)
    assert torch.allclose(beams.scores, exact.scores, atol=1e-3)


@torch.no_grad()
def test_what_the_memory_recalls_is_ranked_although_no_beam_reaches_it(catalog, monkeypatch):
    model = made(catalog)
    model.part_weights.values[0, 2:] = 50.0
    monkeypatch.setattr(hierarchical_model, "EXACT", 0)
    found = model.search(HISTORIES, INDEX, k=1, beam=1)
    before = model.last_states(HISTORIES, INDEX).seen.before
    parts = model.memory.of_all(model.memory.entries(before), before, N)
    assert found.items[:, 0].tolist() == sum(parts).argmax(1).tolist()


@torch.no_grad()
def test_the_windows_loss_is_the_mean_over_its_positions_each_after_its_own_history(catalog):
    window = [7, 9, 11, 13, 15, 17]
    batch = Batch(torch.tensor([window[:4]]), torch.tensor([window[1:5]]))
    model = made(catalog)
    total = 0.0
    for place in range(4):
        history, target = torch.tensor([window[: place + 1]]), torch.tensor([window[place + 1]])
        states = model.last_states(history, INDEX)
        total -= float(model.log_probs(history, target, INDEX).sum())
        total -= float(dense_log_probs(model, states, INDEX)[0, target[0]])
    assert abs(float(model.loss(batch, INDEX)) - total / 4) < 1e-4


@torch.no_grad()
def test_samples_of_one_target_have_the_loss_of_the_window_that_they_are_cut_from(catalog):
    window = [7, 9, 11, 13, 15]
    whole = made(catalog).loss(Batch(torch.tensor([window[:4]]), torch.tensor([window[1:]])), INDEX)
    config = dataclasses.replace(CONFIG, targets="one")
    histories = torch.full((4, 4), PAD)
    for row in range(4):
        histories[row, : row + 1] = torch.tensor(window[: row + 1])
    samples = Batch(histories, torch.tensor(window[1:]))
    assert (config.learns_from, CONFIG.learns_from) == ("samples", "windows")
    assert torch.allclose(made(catalog, config).loss(samples, INDEX), whole, atol=1e-5)


def test_a_softmax_over_codebooks_counts_the_codes_that_no_child_has(catalog):
    """The loss of one position, code by code; codes without a child have no content and no repeat term."""
    config = dataclasses.replace(CONFIG, softmax="codebook", dense=False, memory=None)
    model, history, target = made(catalog, config), HISTORIES[:1], 8
    states, total = model.last_states(history, INDEX), 0.0
    below = model.below(states, INDEX.trie)
    for level, table in enumerate(model.codes):
        nodes = torch.arange(len(INDEX.trie.levels[level]))
        vectors, row = model.level_vectors(level, nodes, INDEX), torch.zeros_like(nodes)
        repeat = model.added(states, level, row, nodes, below, INDEX.trie)
        prefix = sum((model.codes[above].weight[CODES[target, above]] for above in range(level)), torch.zeros(16))
        logits = (prefix + table.weight) @ model.query(states, level)[0]
        for item in range(N):
            if (CODES[item, :level] == CODES[target, :level]).all():
                node = model.paths[item, level]
                logits[CODES[item, level]] = vectors[node] @ model.query(states, level)[0] + repeat[node]
        total -= logits.log_softmax(0)[CODES[target, level]]
    loss = model.loss(Batch(history, torch.cat([history[:, 1:], torch.tensor([[target]])], 1)), INDEX)
    one = dataclasses.replace(config, targets="one")
    of_one = made(catalog, one).loss(Batch(history, torch.tensor([target])), INDEX)
    assert torch.allclose(of_one, total, atol=1e-4)
    assert loss > 0
    loss.backward()
    assert all(row.isfinite().all() for row in (table.weight.grad for table in model.codes))
    with torch.no_grad():
        found = model.search(history, INDEX, k=N, beam=N)
    assert abs(float(found.scores.exp().sum()) - 1) < 1e-4


def test_a_softmax_over_codebooks_refuses_cosines():
    with pytest.raises(ConfigError, match="temperature must be 0"):
        Config(softmax="codebook", temperature=0.1)


@torch.no_grad()
@pytest.mark.parametrize("exact", [True, False])
def test_logits_of_cosines_are_bounded_by_the_temperature_and_decoded_alike(catalog, monkeypatch, exact):
    """Two siblings' log p differ by no more than 2 / temperature, whatever their vectors' lengths."""
    monkeypatch.setattr(hierarchical_model, "EXACT", N if exact else 0)
    config = dataclasses.replace(CONFIG, temperature=0.5, repeat=False, dense=False, memory=None)
    model = made(catalog, config)
    for table in model.codes:
        table.weight.data *= 100
    found = model.search(HISTORIES, INDEX, k=N, beam=N)
    assert found.scores.exp().sum(1).sub(1).abs().max() < 1e-4
    by_level = model.log_probs(HISTORIES, found.items[:, 0], INDEX)
    assert torch.allclose(by_level.sum(1), found.scores[:, 0], atol=1e-4)
    first = model.log_probs_of(HISTORIES[:1], torch.arange(N)[None], INDEX)[0, :, 0]
    assert float(first.max() - first.min()) <= 2 / 0.5 + 1e-4


@torch.no_grad()
@pytest.mark.parametrize("exact", [True, False])
def test_the_weights_of_the_parts_follow_what_was_taken(catalog, monkeypatch, exact):
    """Targets that the memory predicts and no network was trained on."""
    if not exact:
        monkeypatch.setattr(hierarchical_model, "EXACT", 0)
    model = made(catalog)
    histories = torch.arange(N)[:, None]
    before = model.last_states(histories, INDEX).seen.before
    targets = next(iter(model.memory.of_all(model.memory.entries(before), before, N))).argmax(1)

    def score():
        found = model.search(histories, INDEX, k=10, beam=N)
        return float((found.items[:, 0] == targets).float().mean())

    before_it = score()
    samples = [(Batch(histories[rows], targets[rows]), Limits()) for rows in (slice(0, 25), slice(25, N))]
    weights = model.blend(samples, INDEX, lambda tensor: tensor)
    assert list(weights)[:3] == ["weight_trie", "weight_dense", "weight_next_0.01"]
    assert list(weights.values()) == model.part_weights.values.flatten().tolist()
    assert score() > max(0.8, before_it)
    shares = [model.blend(samples[:1], INDEX, lambda tensor: 2 * tensor), model.blend([], INDEX, lambda tensor: tensor)]
    assert shares[1] == shares[0]  # nothing was seen: they stay


@torch.no_grad()
def test_items_of_the_history_leave_both_heads_where_the_repeat_term_bars_them(catalog):
    model = made(catalog)
    for term in model.repeats:
        term.age.data.fill_(-2.0)  # times 20: e^-40 of what the item had
        term.state.weight.data.zero_()
    states = model.last_states(HISTORIES, INDEX)
    for head in (trie_log_probs, dense_log_probs):
        assert set(head(model, states, INDEX)[0].argsort()[:4].tolist()) == {3, 17, 29, 8}


@torch.no_grad()
def test_what_was_taken_before_the_history_is_excluded_too(catalog):
    """The repeat term sees all that a user took; what training never showed counts as the earliest that it did."""
    model = made(catalog)
    for term in model.repeats:
        assert term.longest == 6  # the catalogue's histories
        term.age.data.zero_()
        term.age.data[5] = -2.0
        term.state.weight.data.zero_()
        term.times.data.zero_()
    taken = torch.tensor([[22, 23, 4, 1, 2, 3, 17, 29, 3, 8]])
    whole = model.search(HISTORIES[:1], INDEX, k=N, beam=N, limits=Limits(taken=taken))
    model.memory = None
    model.part_weights = PartWeights([0.5, 0.5])
    bare = model.search(HISTORIES[:1], INDEX, k=N, beam=N, limits=Limits(taken=taken))
    assert set(bare.items[0, -5:].tolist()) == {2, 1, 4, 23, 22}  # at places 5 to 9
    assert not torch.equal(whole.items, bare.items)


@torch.no_grad()
def test_an_extended_index_keeps_what_was_learned_and_ranks_new_items(catalog):
    model, whole = made(catalog), index_of(SIZES, N + 12)
    assert torch.equal(whole.codes[:N], torch.from_numpy(CODES))
    added = np.random.default_rng(2).normal(size=(12, 7)).astype(np.float32)
    index = Index.of(whole.codes.numpy(), SIZES, {"fused": np.concatenate([VECTORS["fused"], added])})
    grown = CONFIG.build(index)
    grown.load(model.weights(), index)
    grown.eval()
    items = torch.arange(N)
    assert torch.allclose(grown.vectors(items, index), model.vectors(items, INDEX), atol=1e-6)
    assert grown.vectors(torch.arange(N, N + 12), index).abs().sum(1).min() > 0
    found = grown.search(HISTORIES, index, k=N + 12, beam=N + 12)
    assert set(found.items[0].tolist()) == set(range(N + 12))
    bare = CONFIG.build(Index.of(whole.codes.numpy(), SIZES))
    bare.load(model.weights(), Index.of(whole.codes.numpy(), SIZES))
    assert bare.get_buffer("fused")[N:].abs().max() == 0
    like = grown.memory.table("like_fused")
    assert like.items[:N].max() >= N  # a new item is recalled by what it is like
    old, new = model.memory.table("next"), grown.memory.table("next")
    assert new.items[N:].max() >= 0  # what follows it is what follows those
    known = {(row, int(i)): float(v) for row in range(N) for i, v in zip(new.items[row], new.values[row], strict=True)}
    kept = {(row, int(i)): float(v) for row in range(N) for i, v in zip(old.items[row], old.values[row], strict=True)}
    assert {pair: value for pair, value in known.items() if pair[1] < N} == {
        pair: pytest.approx(kept[pair], rel=1e-6) for pair in known if pair[1] < N
    }


@torch.no_grad()
def test_an_index_made_anew_keeps_what_was_learned_of_its_items_under_other_numbers(catalog):
    model, was = made(catalog), torch.randperm(N, generator=torch.Generator().manual_seed(3))
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(7, 7)))[0].astype(np.float32)
    index = Index.of(CODES[was], SIZES, {"fused": 2 * VECTORS["fused"][was] @ turn + 1})  # as a graph learned anew
    anew = CONFIG.build(index)
    anew.load(anew.renumbered(model.weights(), was, index), index)
    anew.eval()
    now = was.argsort()
    histories = torch.where(HISTORIES == PAD, PAD, now[HISTORIES.clamp_min(0)])
    for scores in (trie_log_probs, dense_log_probs):
        found = scores(anew, anew.last_states(histories, index), index)[:, now]
        assert torch.allclose(found, scores(model, model.last_states(HISTORIES, INDEX), INDEX), atol=1e-3)
    assert torch.equal(anew.counts[now], model.counts)


@torch.no_grad()
def test_an_index_made_anew_has_items_that_came_later_and_lacks_those_that_are_gone(catalog):
    model, was = made(catalog), torch.tensor([7, PAD, *range(20)])
    given = np.concatenate([VECTORS["fused"][[7, 30]], VECTORS["fused"][:20]])
    index = Index.of(CODES[[7, 30, *range(7), 31, *range(8, 20)]], SIZES, {"fused": given})
    anew = CONFIG.build(index)
    anew.load(anew.renumbered(model.weights(), was, index), index)
    assert torch.equal(anew.own.weight[2:], model.own.weight[:20])
    assert anew.own.weight[1].abs().max() == 0
    assert anew.get_buffer("fused")[1].abs().max() > 0  # of the same projection as the others
    assert anew.counts[1] == 0


@torch.no_grad()
def test_an_item_without_an_own_vector_is_ordered_by_trie_and_memory_alone(catalog):
    """In the dense head all such items are as likely as one of N."""
    model = made(catalog)
    model.counts[5] = 0
    states = model.last_states(HISTORIES, INDEX)
    whole = model.search(HISTORIES, INDEX, k=N, beam=N)
    before = states.seen.before
    trie = trie_log_probs(model, states, INDEX)
    parts = [trie, torch.full_like(trie, -math.log(N))]
    parts += list(model.memory.of_all(model.memory.entries(before), before, N))
    expected = sum(weight * part[0, 5] for weight, part in zip(model.part_weights.values[0], parts, strict=True))
    assert torch.isclose(whole.scores[0][whole.items[0] == 5], expected.float(), atol=1e-5)


def test_ids_alone_learn_no_vector_of_an_item(catalog):
    model = made(catalog, dataclasses.replace(CONFIG, dense=False))
    assert not [name for name, value in model.named_parameters() if len(value) == N]
    assert len(model.transformers) == 1


def test_histories_longer_than_it_reads_are_refused_before_learning(catalog):
    with pytest.raises(ConfigError, match="max_length: is 3, the catalogue's histories have 6 items"):
        made(catalog, dataclasses.replace(CONFIG, max_length=3))


def test_content_that_no_noun_holds_is_refused():
    with pytest.raises(ConfigError, match=r"'codes' has no item vectors; must be of embeddings, graph, fused"):
        Config(content=("codes",))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("beam", [5, N])
def test_weights_that_are_no_finite_numbers_are_an_error_and_no_answer(catalog, value, beam):
    model = made(catalog)
    model.transformers[0].norm.weight.data[0] = value
    with pytest.raises(ArtifactError, match="scores that are NaN or infinite"):
        model.search(HISTORIES, INDEX, k=5, beam=beam)


@pytest.mark.parametrize("beam", [5, N])
def test_one_item_without_a_finite_score_is_an_error_too(catalog, monkeypatch, beam):
    """It would be lost, and the others answered."""
    model = made(catalog)
    repeated, added = hierarchical_search._repeated, type(model).added

    def lost(nodes, number, term):
        return term.masked_fill((nodes == 0) & (number == 0), -torch.inf)

    def of_all(model, states, number, again, index):
        term = repeated(model, states, number, again, index)
        return lost(torch.arange(term.shape[1]), number, term)

    def of_some(self, states, number, rows, nodes, below, trie):
        return lost(nodes, number, added(self, states, number, rows, nodes, below, trie))

    monkeypatch.setattr(hierarchical_search, "_repeated", of_all)
    monkeypatch.setattr(type(model), "added", of_some)
    with pytest.raises(ArtifactError, match="scores that are NaN or infinite"):
        model.search(HISTORIES, INDEX, k=5, beam=beam)


@torch.no_grad()
def test_a_sample_of_all_items_is_the_loss_over_all_and_small_ones_stay_near(catalog):
    batch = Batch(torch.tensor([[7, 9, 11, 13]]), torch.tensor([[9, 11, 13, 15]]))
    whole = float(made(catalog).loss(batch, INDEX))
    every = made(catalog, dataclasses.replace(CONFIG, negatives=N))
    assert float(every.loss(batch, INDEX)) == whole
    some = made(catalog, dataclasses.replace(CONFIG, negatives=15))
    losses = [float(some.loss(batch, INDEX)) for _ in range(200)]
    assert min(losses) < max(losses)
    assert abs(sum(losses) / 200 - whole) < 0.1


def test_how_many_are_sampled_bears_identity_only_where_it_is_set():
    assert "negatives" not in to_record(CONFIG, identity=True)
    assert to_record(dataclasses.replace(CONFIG, negatives=7), identity=True)["negatives"] == 7


def grown_from(model, num_new):
    """The model over an index of further items, and that index."""
    whole = index_of(SIZES, N + num_new)
    added = np.random.default_rng(2).normal(size=(num_new, 7)).astype(np.float32)
    index = Index.of(whole.codes.numpy(), SIZES, {"fused": np.concatenate([VECTORS["fused"], added])})
    grown = model.config.build(index)
    grown.load(model.weights(), index)
    return grown.eval(), index


@torch.no_grad()
@pytest.mark.parametrize("share", [None, 0.3])
def test_new_items_together_hold_their_share_of_the_probability(catalog, share):
    grown, index = grown_from(made(catalog), 12)
    assert grown.weigh_new(catalog, index, share) != 0
    taken = [each[each < N] for each in np.split(*user_rows(catalog))]
    held = []
    for past in filter(len, taken):
        past = torch.from_numpy(past.astype(np.int64))[None]
        found = grown.search(
            past[:, -ring.HISTORY :], index, k=N + 12, beam=N + 12, limits=Limits(taken=past), renormalised=True
        )
        held.append(float(found.scores.exp()[found.items >= N].sum()))
    assert np.mean(held) == pytest.approx(12 / (N + 12) if share is None else share, abs=1e-4)


def user_rows(catalog):
    rows = catalog.split == 0
    users = catalog.user[rows]
    return catalog.item[rows], np.flatnonzero(np.diff(users)) + 1


@torch.no_grad()
@pytest.mark.parametrize("memory", [None, CONFIG.memory], ids=["no memory", "memory"])
@pytest.mark.parametrize("limited", [False, True])
def test_wide_beams_find_new_items_as_scores_of_all_do(catalog, monkeypatch, limited, memory):
    grown, index = grown_from(made(catalog, dataclasses.replace(CONFIG, memory=memory)), 12)
    grown.weigh_new(catalog, index, 0.9)
    limits = Limits(HISTORIES, torch.arange(N + 12) % 7 > 0) if limited else Limits()
    exact = grown.search(HISTORIES, index, k=N, beam=N, limits=limits)
    assert (exact.items[:, :10] >= N).sum() > 12
    monkeypatch.setattr(hierarchical_model, "EXACT", 0)
    beams = grown.search(HISTORIES, index, k=N, beam=N + 12, limits=limits)
    assert torch.equal(beams.items, exact.items)
    assert torch.allclose(beams.scores, exact.scores, atol=1e-3)
    few = grown.search(HISTORIES, index, k=3, beam=3, limits=limits)
    assert (few.items >= N).any(1).all()  # new items have beams of their own


@torch.no_grad()
@pytest.mark.parametrize("exact", [True, False])
def test_where_no_item_is_new_no_score_changes(catalog, monkeypatch, exact):
    if not exact:
        monkeypatch.setattr(hierarchical_model, "EXACT", 0)
    model = made(catalog)
    model.counts.clamp_min_(1)
    before = model.search(HISTORIES, INDEX, k=10, beam=20)
    assert model.weigh_new(catalog, INDEX) == 0
    after = model.search(HISTORIES, INDEX, k=10, beam=20)
    assert torch.equal(before.items, after.items)
    assert torch.equal(before.scores, after.scores)
