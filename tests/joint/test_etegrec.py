"""ETEGRec's laws: whose turn it is, what is at rest in it, and what its parts come to."""

from dataclasses import replace

import pytest
import torch

from unisid.backbones import PAD, Batch, Index
from unisid.backbones.tiger import Config as Tiger
from unisid.errors import ConfigError
from unisid.joint import Pair, etegrec
from unisid.ops.assignment import ordinals
from unisid.ops.prefixes import row_keys
from unisid.tokenizers import Batch as Vectors
from unisid.tokenizers import rqvae

N = 30
SMALL = Tiger(
    width=16, num_heads=2, head_width=8, feedforward_width=32, num_encoder_layers=1, num_decoder_layers=1, dropout=0.0
)
BATCH = Batch(torch.tensor([[3, 17, 3], [11, PAD, PAD], [4, 5, PAD]]), torch.tensor([5, 20, 5]))
BOTH = etegrec.Config(cycle=3, alignment_weight=0.2, preference_weight=0.3, warm_epochs=6)
TOKENIZERS_TURN, OTHER_TURN = 6, 7


class One:
    rank, size = 0, 1

    def all_gather(self, tensor):
        return tensor


def build(config=BOTH):
    torch.manual_seed(0)
    vectors = torch.randn(N, 6)
    tokenizer = rqvae.Config(num_levels=2, codebook_size=4, widths=(8, 3), restart_after=0).build(6)
    tokenizer.start(vectors, 0)
    nearest = tokenizer.encode(vectors)
    last = torch.from_numpy(ordinals(row_keys(nearest.int().numpy())))
    codes, sizes = torch.cat([nearest, last[:, None]], 1), (4, 4, N)
    index = Index.of(codes.numpy(), sizes)
    return config.build(Pair(tokenizer, SMALL.build(index), vectors, index.codes, sizes)), index


def gradients(joint, index, epoch):
    loss, _ = joint.loss(BATCH, index, One(), epoch)
    loss.backward()
    return {name: p.grad for name, p in joint.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_the_first_epoch_of_a_cycle_is_the_tokenizers():
    joint, _ = build()
    assert [joint.shares(epoch) for epoch in range(4)] == [(1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (1.0, 0.0)]
    with pytest.raises(ConfigError, match=r"etegrec.cycle: is 1; must be at least 2"):
        etegrec.Config(cycle=1)


def test_in_the_tokenizers_turn_nothing_else_has_a_gradient():
    joint, index = build()
    found = gradients(joint, index, TOKENIZERS_TURN)
    assert {name.partition(".")[0] for name in found} == {"tokenizer"}
    assert {name for name, _ in joint.tokenizer.named_parameters()} == {n.removeprefix("tokenizer.") for n in found}


def test_in_the_other_turn_recommender_and_projections_learn():
    joint, index = build()
    found = gradients(joint, index, OTHER_TURN)
    assert {name for name, _ in joint.named_parameters() if not name.startswith("tokenizer.")} <= set(found)


def test_without_alignment_the_turns_are_the_losses_of_two_stages():
    """mu = lambda = 0: TIGER's own loss, and the tokenizer's own."""
    joint, index = build(etegrec.Config(alignment_weight=0, preference_weight=0))
    assert len(joint.heads) == 0
    own, _ = joint.loss(BATCH, index, One(), 1)
    assert torch.equal(own, joint.backbone.loss(BATCH, index))
    quantization, _ = joint.loss(BATCH, index, One(), 0)
    assert torch.equal(quantization, joint.tokenizer.loss(Vectors(joint.vectors[BATCH.targets]), One())[0])


@pytest.mark.parametrize("turn", [0, 1])
def test_the_loss_is_the_weighted_sum_of_its_parts_once_they_are_due(turn):
    joint, index = build()
    own = ("quantization", "recommendation")[turn]
    early, shown = joint.loss(BATCH, index, One(), turn)
    assert float(early.detach()) == pytest.approx(float(shown[own]))
    late, shown = joint.loss(BATCH, index, One(), 6 + turn)
    expected = shown[own] + 0.2 * shown["alignment"] + 0.3 * shown["preference"]
    assert float(late.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_sia_is_0_where_what_was_read_is_the_target_and_falls_towards_it():
    joint, _ = build(replace(BOTH, preference_weight=0))
    joint.heads["read"] = torch.nn.Identity()
    standard = joint.tokenizer.standardise(joint.vectors[BATCH.targets])
    target = joint._log_p(joint.latents(BATCH.targets))

    def divergence(share):
        read = standard + share * (torch.ones_like(standard) - standard)
        sides = {"read": read}
        [(name, weight, value)] = joint._aligned(sides, BATCH.targets, One())
        assert (name, weight) == ("alignment", 0.2)
        return float(value.detach())

    assert target.exp().sum(2).allclose(torch.ones(3, 2))
    found = [divergence(share) for share in (1.0, 0.5, 0.1, 0.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0, abs=1e-6)


def test_the_nearest_codeword_is_the_likeliest():
    """The released code has plus distances, under which the farthest is."""
    joint, _ = build()
    items = torch.arange(N)
    found = joint._log_p(joint.latents(items)).argmax(2)
    assert torch.equal(found, joint.tokenizer.encode(joint.vectors))


def test_psa_moves_the_tokenizer_by_the_vector_made_again():
    joint, index = build(replace(BOTH, alignment_weight=0, preference_weight=1.0))
    plain, _ = build(etegrec.Config(alignment_weight=0, preference_weight=0))
    aligned, own = gradients(joint, index, TOKENIZERS_TURN), gradients(plain, index, 0)
    assert not torch.allclose(aligned["tokenizer.decoder.0.weight"], own["tokenizer.decoder.0.weight"])
    assert not torch.allclose(aligned["tokenizer.encoder.0.weight"], own["tokenizer.encoder.0.weight"])


def test_histories_are_read_hard():
    joint, index = build()
    assert joint.reader() is None
    with torch.no_grad():
        joint.tokenizer.encoder[0].weight.add_(1.0)
    before, after = (each.loss(BATCH, index, One(), 1)[1]["recommendation"] for each in (build()[0], joint))
    assert torch.equal(before, after)
