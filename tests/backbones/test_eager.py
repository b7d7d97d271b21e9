"""EAGER: two streams over the halves of an index, what each moves, and how their answers are merged."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from tests.backbones.models import halved_index, index_of
from unisid.backbones import PAD, Batch, Index, Limits, tiger
from unisid.backbones.eager import Config, Eager
from unisid.backbones.eager.streams import Stream, halves_of, merged, union
from unisid.decoding.beam import search as beam_search
from unisid.errors import ArtifactError, ConfigError

INDEX = halved_index()
N = len(INDEX.codes)
SHAPE = tiger.Config(
    width=16, num_heads=2, head_width=8, feedforward_width=20, num_encoder_layers=1, num_decoder_layers=2, dropout=0.0
)
CONFIG = Config(decoder=SHAPE, first_width=3)
BARE = dataclasses.replace(CONFIG, behaviour_contrast=0.0, semantic_contrast=0.0, transfer=0.0)
BATCH = Batch(torch.tensor([[3, 17, 29, 8], [11, 2, PAD, PAD], [5, 5, 6, PAD]]), torch.tensor([5, 20, 9]))


def made(config: Config = CONFIG) -> Eager:
    torch.manual_seed(2)
    model = config.build(INDEX)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model.eval()


def touched(model: torch.nn.Module) -> bool:
    return any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in model.parameters())


def test_every_item_is_named_by_either_half() -> None:
    halves = halves_of(INDEX)
    for codes, built in zip(halves.codes, halves.tries, strict=True):
        assert built.items.sort().values.tolist() == list(range(N))
        assert len(codes.unique(dim=0)) == N
    first, second = halves.tokens(torch.tensor([[4, PAD]]))
    assert first[0, 0].tolist() == [int(INDEX.codes[4, 0]), 6 + int(INDEX.codes[4, 1])]
    assert second[0, 0].tolist() == [int(INDEX.codes[4, 2]), 5 + int(INDEX.codes[4, 3])]
    assert first[0, 1].tolist() == [PAD, PAD]


def test_the_loss_is_that_of_both_streams_over_one_encoder() -> None:
    model = made(BARE)
    memories, targets = model.read(BATCH.histories, INDEX), halves_of(INDEX).tokens(BATCH.targets)
    parts = [
        stream.summarised(memory, own, torch.zeros(16))[0]
        for stream, memory, own in zip((model.first, model.second), memories, targets, strict=True)
    ]
    assert torch.allclose(model.loss(BATCH, INDEX), parts[0] + parts[1], atol=1e-6)
    assert torch.allclose(
        -model.log_probs(BATCH.histories, BATCH.targets, INDEX).sum(1).mean() / 2, sum(parts), atol=1e-5
    )


def test_a_stream_that_alone_reads_its_codes_is_tiger() -> None:
    """The first stream after a history of its own tokens has TIGER's loss."""
    model, (tokens, _) = made(BARE), halves_of(INDEX).tokens(BATCH.histories)
    targets, _ = halves_of(INDEX).tokens(BATCH.targets)
    alone = SHAPE.build(Index(INDEX.codes[:, :2], INDEX.sizes[:2], halves_of(INDEX).tries[0]))
    alone.load_state_dict(model.first.state_dict())
    found = model.first.token_loss(tokens.flatten(1), targets)
    assert torch.equal(found, alone.token_loss(tokens.flatten(1), targets))


def test_one_streams_loss_moves_no_weight_of_the_others_decoder() -> None:
    model = made(BARE)
    memories, targets = model.read(BATCH.histories, INDEX), halves_of(INDEX).tokens(BATCH.targets)
    model.first.summarised(memories[0], targets[0], torch.zeros(16))[0].backward()
    assert touched(model.first.t5.decoder.block)
    assert touched(model.first.t5.encoder)
    assert not touched(model.second.t5.decoder.block)
    assert model.second.t5.shared.weight.grad is not None  # as history alone


def test_the_transfer_moves_nothing_of_the_texts_decoder() -> None:
    model = made()
    memories, targets = model.read(BATCH.histories, INDEX), halves_of(INDEX).tokens(BATCH.targets)
    _, state = model.second.summarised(memories[1], targets[1], model.summaries[1])
    codes = halves_of(INDEX).codes[0][BATCH.targets].long()
    model.guided.loss(codes, model._tables(), state).backward()
    assert not touched(model.second)  # no weight of the text stream, the table of its codes included
    assert not touched(model.first.t5.decoder.block)
    assert touched(model.guided)
    assert model.first.t5.shared.weight.grad is not None


def test_contrasts_are_of_their_own_vectors() -> None:
    model, vectors = made(), INDEX.vectors["fused"]
    states = [torch.randn(3, 16), torch.randn(3, 16)]
    expected = 0.0
    for weight, state, project, table in zip(
        (1.0, 10.0), states, model.project, (vectors[:, :3], vectors[:, 3:]), strict=True
    ):
        found = functional.normalize(project(functional.normalize(state, dim=-1)), dim=-1)
        scores = found @ functional.normalize(table, dim=-1).T / 0.3
        expected += weight * functional.cross_entropy(scores, BATCH.targets).item()
    assert model.contrast(states, BATCH.targets, INDEX).item() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_the_score_of_what_a_beam_found_is_the_beams_own() -> None:
    """So one stream's list, scored again by that stream alone, is the same list."""
    model, halves = made(BARE), halves_of(INDEX)
    memories = model.read(BATCH.histories, INDEX)
    for number, memory in enumerate(memories):
        found = beam_search(Stream(model._stream(number)), memory, halves.tries[number], k=9, beam=12)
        tokens = halves.tokens(found.items)[number]
        again = model._stream(number).log_probs_after(memory, tokens).sum(-1)
        assert torch.allclose(again, found.scores, atol=1e-5)


@torch.no_grad()
def test_answers_are_the_best_of_the_union_by_both_scores() -> None:
    model, halves = made(BARE), halves_of(INDEX)
    memories = model.read(BATCH.histories, INDEX)
    found = model.search(BATCH.histories, INDEX, k=4, beam=6)
    for row in range(3):
        either: set[int] = set()
        for number, memory in enumerate(memories):
            own = beam_search(Stream(model._stream(number)), memory, halves.tries[number], k=4, beam=6)
            either |= set(own.items[row].tolist())
        items = torch.tensor(sorted(either))
        rows = BATCH.histories[row].expand(len(items), -1)
        scores = model.log_probs(rows, items, INDEX).sum(1)
        order = scores.argsort(descending=True)[:4]
        assert found.items[row].tolist() == items[order].tolist()
        assert torch.allclose(found.scores[row], scores[order], atol=1e-5)


@torch.no_grad()
def test_renormalised_scores_are_among_all_items_whatever_may_be_answered() -> None:
    model = made(BARE)
    allowed = torch.arange(N) % 2 == 0
    found = model.search(
        BATCH.histories, INDEX, k=N, beam=N, limits=Limits(torch.tensor([[4], [PAD], [8]]), allowed), renormalised=True
    )
    whole = model.search(BATCH.histories, INDEX, k=N, beam=N, renormalised=True)
    assert torch.allclose(whole.scores.exp().sum(1), torch.ones(3), atol=1e-5)
    for row, excluded in enumerate(({4}, set(), {8})):
        left = [item for item in whole.items[row].tolist() if item % 2 == 0 and item not in excluded]
        assert found.items[row].tolist() == left + [-1] * (N - len(left))


def test_a_union_has_no_item_twice() -> None:
    found = union(torch.tensor([[7, 3, 7, -1, 2, 3, -1]]))
    assert sorted(item for item in found[0].tolist() if item != PAD) == [2, 3, 7]
    best = merged(found, torch.where(found == PAD, -torch.inf, -found.float()), 5)
    assert best.items.tolist() == [[2, 3, 7, -1, -1]]


def test_what_is_saved_needs_no_vectors_and_answers_the_same() -> None:
    model, bare = made(), Index(INDEX.codes, INDEX.sizes, INDEX.trie)
    again = CONFIG.rebuild(bare, model.files())
    again.load(model.weights(), bare)
    with torch.no_grad():
        found = [each.eval().search(BATCH.histories, bare, k=9, beam=9) for each in (model, again)]
    assert torch.equal(found[0].items, found[1].items)
    assert torch.equal(found[0].scores, found[1].scores)


def test_its_depth_is_a_setting() -> None:
    deep = dataclasses.replace(BARE, decoder=dataclasses.replace(SHAPE, num_decoder_layers=36))
    model = deep.build(INDEX)
    assert [len(stream.t5.decoder.block) for stream in (model.first, model.second)] == [36, 36]


def test_its_default_size_is_the_released_codes() -> None:
    shape = Config().decoder
    assert (shape.width, shape.num_heads, shape.feedforward_width) == (96, 4, 1024)
    assert (shape.num_encoder_layers, shape.num_decoder_layers) == (1, 2)
    assert Config().contrasts == (1.0, 10.0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArtifactError, match="codes: have 3 levels, and two streams need halves"):
        BARE.build(index_of((4, 5, 3)))
    with pytest.raises(ArtifactError, match="codes: some items share the first half of their ids"):
        BARE.build(index_of((4, 5, 3, 7), 30))
    with pytest.raises(ArtifactError, match=r"eager.first_width: 9 dimensions .* the index has 7 dimensions"):
        dataclasses.replace(CONFIG, first_width=9).build(INDEX)
    with pytest.raises(ConfigError, match="eager.temperature: is 0.0; must be .*above 0"):
        Config(temperature=0.0)


@torch.no_grad()
def test_what_is_proven_is_the_best_of_all_items() -> None:
    model, proven = made(), []
    every = model.search(BATCH.histories, INDEX, k=N, beam=N)
    assert every.proven().tolist() == [N] * 3
    for k in (2, 5, 10, 20):
        found = model.search(BATCH.histories, INDEX, k=k, beam=k)
        for row, count in enumerate(found.proven().tolist()):
            assert found.items[row, :count].tolist() == every.items[row, :count].tolist()
            proven.append(count)
    assert 0 < sum(proven) < 3 * (2 + 5 + 10 + 20)
    exact = model.search(BATCH.histories, INDEX, k=3, beam=3, renormalised=True)
    assert exact.proven().tolist() == [3] * 3
