import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backbones.models import index_of
from tests.references import beam as reference
from unisid.backbones import PAD
from unisid.backbones.tiger import Config
from unisid.decoding import beam, trie
from unisid.errors import ConfigError

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
    return config.build(index_of(SIZES)).eval()


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


@pytest.mark.parametrize("renormalised", [False, True])
@torch.no_grad()
def test_of_a_subset_the_best_items_are_those_of_scoring_it_whole(tiger, codes, renormalised):
    generator = torch.Generator().manual_seed(7)
    allowed = torch.rand(3, 200, generator=generator) < torch.tensor([[0.5], [0.2], [0.9]])
    excluded = torch.randint(-1, 200, (3, 40), generator=generator)
    built = trie.build(codes)
    scores = [reference.scores(tiger, history, codes, renormalised) for history in HISTORIES]
    for by_user, left_out in [(True, None), (True, excluded), (False, None), (False, excluded)]:
        some = allowed if by_user else allowed[0]
        found = beam.search(
            tiger,
            padded(HISTORIES),
            built,
            k=15,
            beam=200,
            allowed=some,
            excluded=left_out,
            renormalised=renormalised,
        )
        for row, every in enumerate(scores):
            closed = {item for item in range(200) if not allowed[row if by_user else 0, item]}
            closed |= set() if left_out is None else set(left_out[row].tolist())
            expected = reference.best(every, codes, 15, closed)
            assert found.items[row].tolist() == expected
            assert torch.allclose(found.scores[row], every[expected], atol=2e-5)


@pytest.fixture(scope="module")
def prefixes(tiger, codes):
    """The scores of every item's prefixes [N, L], by history and by whether they are renormalised."""
    return {
        (row, renormalised): reference.prefix_scores(tiger, history, codes, renormalised)
        for row, history in enumerate(HISTORIES)
        for renormalised in (False, True)
    }


@settings(deadline=None, max_examples=15)
@given(width=st.integers(4, 12), share=st.floats(0.2, 1), renormalised=st.booleans(), seed=st.integers(0, 99))
@torch.no_grad()
def test_above_a_floor_a_wide_beam_is_exact_and_no_wider_than_needed(
    tiger, codes, prefixes, width, share, renormalised, seed
):
    """The floor is what a narrow search found; no level keeps more prefixes than score above it."""
    kept = []

    class Counting:
        level_starts, start, logits = tiger.level_starts, tiger.start, tiger.logits

        def step(self, state, tokens, parents):
            kept.append(tokens.shape[1])
            return tiger.step(state, tokens, parents)

    allowed = torch.rand(200, generator=torch.Generator().manual_seed(seed)) < share
    allowed[:4] = True
    closed = set((~allowed).nonzero().flatten().tolist())
    given = {"k": 4, "allowed": allowed, "renormalised": renormalised}
    built = trie.build(codes)
    floor = beam.search(tiger, padded(HISTORIES), built, beam=width, **given).scores[:, -1]
    found = beam.search(Counting(), padded(HISTORIES), built, beam=200, floor=floor, **given)
    assert (found.proven() == 4).all()
    most = [1, 1]
    for row in range(len(HISTORIES)):
        every = prefixes[row, renormalised]
        assert found.items[row].tolist() == reference.best(every[:, -1], codes, 4, closed)
        for level in range(2):
            above = every[:, level] >= floor[row] - 2 * beam.ROUNDING
            most[level] = max(most[level], len(codes[above, : level + 1].unique(dim=0)))
    assert all(count <= most[level] for level, count in enumerate(kept))


@settings(deadline=None, max_examples=30)
@given(st.data())
@torch.no_grad()
def test_any_beam_finds_k_items_wherever_k_are_allowed_and_not_excluded(tiger, codes, data):
    k = data.draw(st.integers(1, 6))
    width = data.draw(st.integers(k, 12))
    open_ = data.draw(st.lists(st.integers(0, 199), min_size=k, max_size=15, unique=True))
    left_out = data.draw(st.lists(st.integers(0, 199).filter(lambda item: item not in open_), max_size=30))
    allowed = torch.zeros(200, dtype=torch.bool)
    allowed[open_ + left_out[::2]] = True
    if data.draw(st.booleans()):
        allowed = torch.stack([allowed, torch.ones(200, dtype=torch.bool)])
    excluded = torch.tensor([left_out + [PAD] * 2] * 2)
    found = beam.search(
        tiger, padded(HISTORIES[:2]), trie.build(codes), k=k, beam=width, allowed=allowed, excluded=excluded
    )
    assert set(found.items[0].tolist()) <= set(open_)
    for items in found.items.tolist():
        assert len(set(items)) == k
        assert not set(items) & {*left_out, -1}


@torch.no_grad()
def test_where_too_few_items_are_in_the_subset_the_rest_says_so(tiger, codes):
    allowed = torch.zeros(2, 200, dtype=torch.bool)
    allowed[0, [3, 77]] = True
    found = beam.search(tiger, padded(HISTORIES[:2]), trie.build(codes), k=4, beam=10, allowed=allowed)
    assert set(found.items[0, :2].tolist()) == {3, 77}
    assert found.items[0, 2:].tolist() == found.items[1, 2:].tolist() == [-1, -1]
    assert found.items[1].tolist() == [-1] * 4


@pytest.mark.parametrize("shape", [(199,), (1, 200), (3, 200), (2, 3, 200)])
def test_a_subset_of_another_index_or_of_other_users_is_refused(tiger, codes, shape):
    with pytest.raises(ConfigError, match=r"allowed has the shape .* must be \(200,\).* or \(2, 200\)"):
        beam.search(
            tiger, padded(HISTORIES[:2]), trie.build(codes), k=1, beam=1, allowed=torch.ones(shape, dtype=torch.bool)
        )


class Whim:
    """A decoder whose logits are the prompt's, level by level, and which notes the tokens it is given."""

    level_starts = (0, 7, 13)

    def start(self, prompts):
        self.prompts = prompts
        return torch.zeros(len(prompts), 1, 0, dtype=torch.long), prompts[:, None, 0]

    def step(self, state, tokens, parents):
        rows = torch.arange(len(tokens))[:, None]
        self.written = torch.cat([state[rows, parents], tokens[..., None]], -1)
        return self.written, self.prompts[:, self.written.shape[2]][:, None].expand(*tokens.shape, -1)

    def logits(self, hidden, entries):
        return hidden[..., entries]


def test_a_hundred_thousand_random_decodes_hold_no_invalid_semantic_id():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        codes = random_codes(60 + 10 * seed, seed=seed)
        entries = codes + torch.tensor(Whim.level_starts)
        logits = torch.randn(5000, 3, 22, generator=generator) * 4
        allowed = torch.rand(5000, len(codes), generator=generator) < torch.rand(5000, 1, generator=generator)
        excluded = torch.randint(-1, len(codes), (5000, 8), generator=generator)
        whim = Whim()
        found = beam.search(whim, logits, trie.build(codes), k=5, beam=6, allowed=allowed, excluded=excluded)

        prefixes = {tuple(entry[:2]) for entry in entries.tolist()}
        assert {tuple(pair) for pair in whim.written.flatten(0, 1).unique(dim=0).tolist()} <= prefixes
        closed = ~allowed
        closed[torch.arange(5000)[:, None].expand_as(excluded)[excluded >= 0], excluded[excluded >= 0]] = True
        real = found.items >= 0
        assert torch.equal(real.sum(1), (~closed).sum(1).clamp_max(5))
        items = found.items.clamp_min(0)
        assert not (closed.gather(1, items) & real).any()
        ordered = torch.where(real, found.items, -1 - torch.arange(5)).sort(1).values
        assert (ordered[:, 1:] != ordered[:, :-1]).all()
        # The score is the item's own, so the codes that were walked are the item's.
        truth = logits.log_softmax(-1)[torch.arange(5000)[:, None, None], torch.arange(3), entries[items]].sum(-1)
        assert torch.allclose(found.scores[real], truth[real], atol=1e-4)


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


@settings(deadline=None, max_examples=40)
@given(st.data())
@torch.no_grad()
def test_what_lies_above_the_bound_is_the_true_best(tiger, codes, data):
    """Whatever the width and the limits; and a beam that drops nothing is exact."""
    k = data.draw(st.integers(1, 12))
    width = data.draw(st.integers(k, 60))
    excluded = data.draw(st.lists(st.integers(0, 199), max_size=150))
    limits = {
        "excluded": torch.tensor([[*excluded, PAD]] * 3, dtype=torch.long),
        "allowed": torch.rand(3, 200, generator=torch.Generator().manual_seed(width)) < 0.7,
        "renormalised": data.draw(st.booleans()),
    }
    found = beam.search(tiger, padded(HISTORIES), trie.build(codes), k=k, beam=width, **limits)
    exact = beam.search(tiger, padded(HISTORIES), trie.build(codes), k=k, beam=200, **limits)
    assert exact.bound.isneginf().all()
    assert exact.proven().tolist() == (exact.items >= 0).sum(1).tolist()
    for row, count in enumerate(found.proven().tolist()):
        assert found.items[row, :count].tolist() == exact.items[row, :count].tolist()
        mine = set(found.items[row].tolist())
        missed = [
            score
            for item, score in zip(*(part[row].tolist() for part in (exact.items, exact.scores)), strict=True)
            if item not in mine
        ]
        assert max(missed, default=-torch.inf) <= found.bound[row].item() + 1e-5


@torch.no_grad()
def test_a_narrow_beam_proves_less_than_a_wide_one(tiger, codes):
    counts = [
        int(beam.search(tiger, padded(HISTORIES), trie.build(codes), k=5, beam=width).proven().sum())
        for width in (5, 20, 80, 200)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == 15


@settings(deadline=None, max_examples=25)
@given(st.data())
@torch.no_grad()
def test_widths_by_level_that_are_all_alike_are_one_width(tiger, codes, data):
    """And the bound holds whatever the widths: what lies above it is the true best."""
    k = data.draw(st.integers(1, 8))
    width, levels = data.draw(st.integers(k, 40)), data.draw(st.integers(1, 4))
    built = trie.build(codes)
    one = beam.search(tiger, padded(HISTORIES), built, k=k, beam=width)
    alike = beam.search(tiger, padded(HISTORIES), built, k=k, beam=(width,) * levels)
    for mine, theirs in ((alike.items, one.items), (alike.scores, one.scores), (alike.bound, one.bound)):
        assert torch.equal(mine, theirs)
    widths = tuple(data.draw(st.lists(st.integers(k, 40), min_size=1, max_size=4)))
    found = beam.search(tiger, padded(HISTORIES), built, k=k, beam=widths)
    exact = beam.search(tiger, padded(HISTORIES), built, k=k, beam=200)
    assert (found.items >= 0).all()
    for row, count in enumerate(found.proven().tolist()):
        assert found.items[row, :count].tolist() == exact.items[row, :count].tolist()


def test_each_level_keeps_as_many_prefixes_as_its_own_width(codes):
    """The last number counts for all further levels; the last level keeps k."""
    for widths, kept in (((2, 9), [2, 9]), ((3,), [3, 3]), ((5, 4, 7, 8), [5, 4])):
        seen = []

        class Watched(Whim):
            def step(self, state, tokens, parents, seen=seen):
                seen.append(tokens.shape[1])
                return super().step(state, tokens, parents)

        beam.search(Watched(), torch.randn(2, 3, 22), trie.build(codes), k=2, beam=widths)
        assert seen == kept


def test_widths_by_level_are_doubled_up_to_the_most():
    assert beam.doubled((5, 20), 30) == (10, 30)
    assert beam.doubled(20, 30) == 30
    assert (beam.narrowest((5, 20)), beam.widest((5, 20)), beam.widest(7)) == (5, 20, 7)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((), r"beam is \(\); must be a number, or one for each level"),
        ((9, 4), r"beam 4 of \(9, 4\) is smaller than k, 5"),
    ],
    ids=["none", "one too small"],
)
def test_impossible_widths_are_refused(tiger, codes, widths, message):
    with pytest.raises(ConfigError, match=message):
        beam.search(tiger, padded(HISTORIES), trie.build(codes), k=5, beam=widths)


def test_a_beam_is_spelled_and_made_at_least_as_wide():
    assert [beam.spelled(width) for width in (50, (100, 20))] == ["50", "100,20"]
    assert [beam.at_least(width, 30) for width in (50, 10, (100, 20))] == [50, 30, (100, 30)]
