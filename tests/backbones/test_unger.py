"""UNGER's second stage: what the summary token sees, what it moves, and what it does not."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from tests.backbones.models import index_of
from unisid.backbones import Batch, Index, tiger
from unisid.backbones.unger import Config, Unger
from unisid.errors import ArtifactError, ConfigError

SIZES, N = (4, 5, 3), 30
INDEX = index_of(SIZES, N)
SHAPE = tiger.Config(width=16, num_heads=2, head_width=8, feedforward_width=20, num_encoder_layers=1, dropout=0.0)
CONFIG = Config(decoder=SHAPE)
BATCH = Batch(torch.tensor([[3, 17, 29, 8], [11, 2, -1, -1], [5, 5, 6, -1]]), torch.tensor([5, 20, 5]))
HISTORIES, TARGETS = INDEX.tokens(BATCH.histories).flatten(1), INDEX.tokens(BATCH.targets)


def made(config: Config = CONFIG) -> Unger:
    torch.manual_seed(2)
    model = config.build(INDEX)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


def test_the_summary_token_changes_no_codes_loss() -> None:
    """To rounding, in value and in gradient: it stands behind all codes and the decoder looks back only."""
    model = made()
    loss, state = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary)
    plain = model.tiger.token_loss(HISTORIES, TARGETS)
    assert torch.allclose(loss, plain, atol=1e-6)
    parameters = list(model.tiger.parameters())
    pairs = zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(plain, parameters), strict=True)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in pairs)
    other, _ = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary + 5)
    assert torch.allclose(other, plain, atol=1e-6)
    assert state.shape == (3, 16)


@torch.no_grad()
def test_the_summary_sees_the_targets_own_codes() -> None:
    model = made().eval()
    _, state = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary)
    last = TARGETS.clone()
    last[0, -1] = 9 + (last[0, -1] - 9 + 1) % 3
    _, other = model.tiger.summarised(model.tiger.memory_of(HISTORIES), last, model.summary)
    assert not torch.allclose(state[0], other[0], atol=1e-4)
    assert torch.allclose(state[1:], other[1:], atol=1e-6)


def test_the_distillation_is_that_of_the_formula_and_no_negative_is_the_target() -> None:
    model = made()
    _, state = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary)
    vectors, found = INDEX.vectors["fused"], model.project(functional.normalize(state, dim=-1))
    expected = []
    for row, target in zip(found, BATCH.targets.tolist(), strict=True):
        scores = functional.cosine_similarity(row[None], vectors) / 0.3
        others = torch.cat([scores[:target], scores[target + 1 :]])
        expected.append(torch.cat([scores[target, None], others]).logsumexp(0) - scores[target])
    found_loss = model.distillation(state, BATCH.targets, vectors)
    assert torch.allclose(found_loss, torch.stack(expected).mean(), atol=1e-5)


def test_drawn_negatives_leave_the_target_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three draws two are the target: one other item is below the line."""
    model = made(dataclasses.replace(CONFIG, num_negatives=3))
    monkeypatch.setattr(model, "negatives", lambda num_items, device: torch.tensor([5, 7, 5]))
    state, vectors = torch.randn(1, 16), INDEX.vectors["fused"]
    found = functional.normalize(model.project(functional.normalize(state, dim=-1)), dim=-1)
    own, other = (found @ functional.normalize(vectors[[5, 7]], dim=-1).T / 0.3)[0].tolist()
    expected = math.log(math.exp(own) + math.exp(other)) - own
    assert model.distillation(state, torch.tensor([5]), vectors).item() == pytest.approx(expected, rel=1e-5)


def test_draws_are_of_all_items_and_as_many_as_are_wanted() -> None:
    model = made(dataclasses.replace(CONFIG, num_negatives=20))
    torch.manual_seed(0)
    drawn = torch.cat([model.negatives(N, torch.device("cpu")) for _ in range(40)])
    assert len(drawn) == 800
    assert drawn.unique().tolist() == list(range(N))


def test_the_loss_adds_beta_times_the_distillation() -> None:
    model = made(dataclasses.replace(CONFIG, distillation_weight=0.5))
    loss, state = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary)
    distilled = model.distillation(state, BATCH.targets, INDEX.vectors["fused"])
    assert torch.allclose(model.loss(BATCH, INDEX), loss + 0.5 * distilled, atol=1e-6)


def test_without_distillation_it_is_tiger() -> None:
    """Loss and gradients, and no vectors are read."""
    config = dataclasses.replace(CONFIG, distillation_weight=0.0)
    assert config.vectors() == ()
    assert CONFIG.vectors() == ("fused",)
    bare = Index(INDEX.codes, INDEX.sizes, INDEX.trie)
    torch.manual_seed(4)
    ours = config.build(bare)
    torch.manual_seed(4)
    plain = SHAPE.build(bare)
    assert list(ours.weights()) == list(plain.weights())
    assert torch.equal(ours.loss(BATCH, bare), plain.loss(BATCH, bare))


def test_what_is_saved_is_tiger_and_needs_no_vectors() -> None:
    model = made().eval()
    bare = Index(INDEX.codes, INDEX.sizes, INDEX.trie)
    again = CONFIG.rebuild(bare, model.files())
    again.load(model.weights(), bare)
    plain = SHAPE.build(bare)
    plain.load(model.weights(), bare)
    with torch.no_grad():
        found = [each.eval().search(BATCH.histories, bare, k=9, beam=9) for each in (model, again, plain)]
    assert torch.equal(found[0].items, found[1].items)
    assert torch.equal(found[0].scores, found[2].scores)


def test_the_fused_table_takes_no_gradient() -> None:
    table = torch.randn(N, 7, requires_grad=True)
    index = Index(INDEX.codes, INDEX.sizes, INDEX.trie, {"fused": table.detach()})
    before = table.detach().clone()
    model = made()
    model.loss(BATCH, index).backward()
    assert table.grad is None
    assert torch.equal(table, before)
    assert "fused" not in dict(model.named_parameters())


def test_it_learns_to_point_at_the_targets_vector() -> None:
    model = made()
    vectors = INDEX.vectors["fused"]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        _, state = model.tiger.summarised(model.tiger.memory_of(HISTORIES), TARGETS, model.summary)
        losses.append(model.distillation(state, BATCH.targets, vectors))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.7 * losses[0].item()


def test_its_default_size_is_the_papers() -> None:
    t5 = Config().build(index_of((16,) * 4)).tiger.t5.config
    assert (t5.num_layers, t5.num_decoder_layers, t5.num_heads, t5.d_model, t5.d_ff) == (1, 4, 6, 96, 256)
    assert (t5.dropout_rate, t5.is_gated_act, t5.dense_act_fn) == (0.0, False, "relu")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unger.towards: 'codes' has no item vectors; must be of embeddings, graph"):
        Config(towards="codes")
    with pytest.raises(ConfigError, match="unger.temperature: is 0.0; must be .*above 0"):
        Config(temperature=0.0)
    with pytest.raises(ArtifactError, match="unger: the index comes without fused vectors"):
        CONFIG.build(Index(INDEX.codes, INDEX.sizes, INDEX.trie))
