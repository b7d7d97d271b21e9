import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import beam as reference
from unisid.backbones import PAD
from unisid.backbones.tiger import Config
from unisid.errors import ConfigError
from unisid.ops import beam, trie

SIZES = (7, 6, 9)


def random_codes(num_items: int, seed: int, sizes: tuple[int, ...] = SIZES) -> torch.Tensor:
    """Unique semantic ids [N, L]."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(torch.tensor(sizes).prod().item(), generator=generator)[:num_items]
    return torch.stack(torch.unravel_index(chosen, sizes), dim=1)


@pytest.fixture(scope="module")
def tiger():
    torch.manual_seed(0)
    config = Config(
        width=32, num_heads=2, head_width=8, feedforward_width=48, num_encoder_layers=2, num_decoder_layers=2
    )
    return config.build(SIZES).eval()


@pytest.fixture(scope="module")
def codes():
    return random_codes(200, seed=1)


HISTORIES = [[3, 9, 15], [6, 12, 21, 0, 7, 13, 3, 9, 15], [1, 8, 14, 2, 7, 13]]


def padded(histories: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, histories))
    return torch.tensor([h + [PAD] * (longest - len(h)) for h in histories])


@pytest.mark.parametrize("renormalised", [False, True])
@torch.no_grad()
def test_a_wide_beam_equals_scoring_every_item(tiger, codes, renormalised):
    found = beam.search(tiger, padded(HISTORIES), trie.build(codes), k=20, beam=200, renormalised=renormalised)
    for row, history in enumerate(HISTORIES):
        every = reference.scores(tiger, history, codes, renormalised)
        assert found.items[row].tolist() == reference.best(every, codes, 20, set())
        assert torch.allclose(found.scores[row], every[found.items[row]], atol=2e-5)


@torch.no_grad()
def test_the_renormalised_probabilities_of_all_items_add_up_to_one(tiger, codes):
    found = beam.search(tiger, padded(HISTORIES), trie.build(codes), k=200, beam=200, renormalised=True)
    assert torch.allclose(found.scores.exp().sum(1), torch.ones(3), atol=1e-4)
    assert found.items.sort(dim=1).values.tolist() == [list(range(200))] * 3


@settings(deadline=None, max_examples=30)
@given(st.data())
@torch.no_grad()
def test_any_beam_answers_k_allowed_items_in_order(tiger, codes, data):
    k = data.draw(st.integers(1, 12))
    width = data.draw(st.integers(k, 30))
    excluded = data.draw(st.lists(st.integers(0, 199), max_size=188))
    row = torch.tensor([excluded + [PAD] * 3] * 2, dtype=torch.long)
    found = beam.search(tiger, padded(HISTORIES[:2]), trie.build(codes), k=k, beam=width, excluded=row)
    for items, scores in zip(found.items.tolist(), found.scores.tolist(), strict=True):
        assert len(set(items)) == k
        assert not set(items) & set(excluded)
        assert all(0 <= item < 200 for item in items)
        assert scores == sorted(scores, reverse=True)


@torch.no_grad()
def test_exclusions_do_not_touch_the_order_of_the_rest(tiger, codes):
    everything = reference.scores(tiger, HISTORIES[0], codes, renormalised=False)
    excluded = {int(item) for item in everything.topk(30).indices}
    row = torch.tensor([[*sorted(excluded), *sorted(excluded), PAD]])
    found = beam.search(tiger, padded(HISTORIES[:1]), trie.build(codes), k=15, beam=200, excluded=row)
    assert found.items[0].tolist() == reference.best(everything, codes, 15, excluded)


@torch.no_grad()
def test_where_too_few_items_are_allowed_the_rest_says_so(tiger, codes):
    row = torch.arange(197)[None]
    found = beam.search(tiger, padded(HISTORIES[:1]), trie.build(codes), k=5, beam=10, excluded=row)
    assert set(found.items[0, :3].tolist()) == {197, 198, 199}
    assert found.items[0, 3:].tolist() == [-1, -1]
    assert found.scores[0, 3:].tolist() == [-torch.inf, -torch.inf]


class Indifferent:
    """A decoder to which every token is alike."""

    level_starts = (0, 7, 13)

    def start(self, prompts):
        return None, torch.zeros(len(prompts), 1, 1)

    def step(self, state, tokens, parents):
        return None, torch.zeros(*tokens.shape, 1)

    def logits(self, hidden, entries):
        return hidden.expand(*hidden.shape[:2], 22)[:, :, entries]


def test_equal_scores_are_ordered_by_semantic_id(codes):
    found = beam.search(Indifferent(), torch.zeros(2, 1), trie.build(codes), k=10, beam=15)
    ordered = sorted(range(200), key=lambda item: codes[item].tolist())
    assert found.items.tolist() == [ordered[:10]] * 2


@torch.no_grad()
def test_a_user_is_answered_alike_in_any_company(tiger, codes):
    built = trie.build(codes)
    together = beam.search(tiger, padded(HISTORIES), built, k=10, beam=20)
    for row, history in enumerate(HISTORIES):
        alone = beam.search(tiger, padded([history]), built, k=10, beam=20)
        assert alone.items[0].tolist() == together.items[row].tolist()


@pytest.mark.parametrize(
    ("k", "width", "message"),
    [(20, 10, "beam 10 is smaller than k, 20"), (201, 300, "k is 201 with 200 items"), (0, 10, "k is 0 with 200")],
)
def test_impossible_wishes_are_refused(tiger, codes, k, width, message):
    with pytest.raises(ConfigError, match=message):
        beam.search(tiger, padded(HISTORIES), trie.build(codes), k=k, beam=width)
