"""Every item compared with the state: the softmax by plain loops, its chain over levels, the repeat term."""

import dataclasses

import pytest
import torch

from tests.backbones import test_parallel
from tests.backbones.models import index_of
from tests.backbones.test_parallel import CODES, CONFIG, HISTORIES, INDEX, STARTS, N
from unisid.backbones import Batch, Index, Limits
from unisid.backbones.retrieval import Config
from unisid.errors import ConfigError

SHARED = ("width", "num_heads", "feedforward_width", "temperature", "max_length", "memory")
SHAPE = Config(**{name: getattr(CONFIG, name) for name in SHARED})
catalog = test_parallel.catalog
WINDOW = [7, 9, 11, 13, 9, 17]


def made(catalog, config=SHAPE, index=INDEX):
    return test_parallel.made(catalog, config, index)


@torch.no_grad()
def expected(model, history):
    """log p of every item."""
    state = model.hidden(torch.tensor([history]), INDEX)[0, -1]
    scores = []
    for item in range(N):
        vector = torch.stack([model.codes.weight[STARTS[level] + CODES[item, level]] for level in range(4)]).mean(0)
        scores.append(state @ vector / (state.norm() * vector.norm()) / 0.2)
        if item in history and model.repeat is not None:
            back = history[::-1]
            times = min(3, history.count(item))
            scores[-1] += 20 * (model.repeat.age[back.index(item)] + model.repeat.times[times])
            scores[-1] += model.repeat.state(state)[0]
    return torch.stack(scores).log_softmax(0)


@pytest.mark.parametrize("repeat", [False, True])
@torch.no_grad()
def test_the_probability_of_an_item_is_a_softmax_over_all_of_them(catalog, repeat):
    model = made(catalog, dataclasses.replace(SHAPE, repeat=repeat, memory=None))
    found = model.search(HISTORIES, INDEX, k=N, beam=N)
    whole = expected(model, [3, 17, 29, 3, 8])
    assert torch.allclose(found.scores[0], whole[found.items[0]], atol=1e-5)
    assert torch.allclose(found.scores.exp().sum(1), torch.ones(3), atol=1e-5)


@torch.no_grad()
def test_the_levels_are_the_chain_of_conditional_probabilities(catalog):
    model = made(catalog)
    whole = expected(model, [3, 17, 29, 3, 8]).exp()
    found = model.log_probs(HISTORIES, torch.full((3,), 31), INDEX)[0]
    for level in range(4):
        below = torch.from_numpy((CODES[:, : level + 1] == CODES[31, : level + 1]).all(1))
        above = torch.from_numpy((CODES[:, :level] == CODES[31, :level]).all(1))
        assert abs(float(found[level] - (whole[below].sum() / whole[above].sum()).log())) < 1e-4


@torch.no_grad()
def test_the_loss_is_the_mean_over_positions_each_after_its_own_history(catalog):
    model = made(catalog)
    batch = Batch(torch.tensor([WINDOW[:5]]), torch.tensor([WINDOW[1:]]))
    total = [expected(model, WINDOW[: place + 1])[WINDOW[place + 1]] for place in range(5)]
    assert abs(float(model.loss(batch, INDEX)) + float(torch.stack(total).mean())) < 1e-4


@torch.no_grad()
def test_with_one_level_of_a_code_an_item_it_is_a_softmax_over_items_own_vectors(catalog):
    """SASRec's, but for the cosine."""
    codes = torch.randperm(N, generator=torch.Generator().manual_seed(0))[:, None].numpy()
    index = Index.of(codes, (N,))
    model = made(catalog, dataclasses.replace(SHAPE, repeat=False, memory=None), index)
    state = torch.nn.functional.normalize(model.last_states(HISTORIES, index).hidden, dim=1)
    own = torch.nn.functional.normalize(model.codes.weight[codes[:, 0]], dim=1)
    logits = state @ own.T / 0.2
    targets = torch.tensor([4, 5, 6])
    loss = model.head_loss(model.last_states(HISTORIES, index), targets, index)
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(logits, targets), atol=1e-5)


@torch.no_grad()
def test_the_order_of_the_levels_changes_nothing(catalog):
    model = made(catalog)
    order = [2, 0, 3, 1]
    index = Index.of(
        CODES[:, order], tuple(INDEX.sizes[level] for level in order), {"fused": INDEX.vectors["fused"].numpy()}
    )
    other = made(catalog, index=index)
    other.load_state_dict(model.state_dict())
    rows = [torch.arange(STARTS[level], STARTS[level] + INDEX.sizes[level]) for level in order]
    other.codes.weight.copy_(model.codes.weight[torch.cat(rows)])
    ours, theirs = (m.search(HISTORIES, i, k=N, beam=N) for m, i in ((model, INDEX), (other, index)))
    assert torch.allclose(ours.scores, theirs.scores, atol=1e-4)


@torch.no_grad()
def test_items_of_the_history_leave_where_the_repeat_term_says_so(catalog):
    model = made(catalog, dataclasses.replace(SHAPE, memory=None))
    assert model.repeat.longest == 6  # the catalogue's histories
    model.repeat.age.data.fill_(-2.0)
    model.repeat.state.weight.data.zero_()
    found = model.search(HISTORIES, INDEX, k=N, beam=N)
    assert set(found.items[0, -4:].tolist()) == {3, 17, 29, 8}
    taken = torch.tensor([[22, 23, 3, 17, 29, 3, 8]])
    whole = model.search(HISTORIES[:1], INDEX, k=N, beam=N, limits=Limits(taken=taken))
    assert set(whole.items[0, -6:].tolist()) == {3, 17, 29, 8, 22, 23}


@torch.no_grad()
def test_an_extended_index_ranks_new_items_by_their_codes(catalog):
    model, whole = made(catalog), index_of(INDEX.sizes, N + 12)
    grown = SHAPE.build(whole)
    grown.load(model.weights(), whole)
    found = grown.eval().search(HISTORIES, whole, k=N + 12, beam=N + 12)
    assert set(found.items[0].tolist()) == set(range(N + 12))


def test_histories_longer_than_it_reads_are_refused_before_learning(catalog):
    with pytest.raises(ConfigError, match="retrieval.max_length: is 3, the catalogue's histories have 6 items"):
        made(catalog, dataclasses.replace(SHAPE, max_length=3))


@torch.no_grad()
def test_a_sample_of_all_items_is_the_loss_over_all_and_small_ones_stay_near(catalog):
    batch = Batch(torch.tensor([WINDOW[:5]]), torch.tensor([WINDOW[1:]]))
    whole = float(made(catalog).loss(batch, INDEX))
    assert float(made(catalog, dataclasses.replace(SHAPE, negatives=N)).loss(batch, INDEX)) == whole
    some = made(catalog, dataclasses.replace(SHAPE, negatives=15))
    losses = [float(some.loss(batch, INDEX)) for _ in range(200)]
    assert min(losses) < max(losses)
    assert abs(sum(losses) / 200 - whole) < 0.2
