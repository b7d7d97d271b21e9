"""UniGRec's laws: soft histories and their limit, where gradients go, what each weight switches off."""

from dataclasses import replace

import pytest
import torch

from unisid.backbones import PAD, Batch, Index
from unisid.backbones.tiger import Config as Tiger
from unisid.config import plug_ins
from unisid.joint import Pair, mean_state, unigrec
from unisid.ops.assignment import ordinals
from unisid.ops.prefixes import row_keys
from unisid.tokenizers import soft

N = 30
SMALL = Tiger(
    width=16, num_heads=2, head_width=8, feedforward_width=32, num_encoder_layers=1, num_decoder_layers=1, dropout=0.0
)
BATCH = Batch(torch.tensor([[3, 17, 3], [11, PAD, PAD]]), torch.tensor([5, 20]))
ALONE = unigrec.Config(reconstruction_weight=0, tokenizer_distillation=0, recommender_distillation=0)


class One:
    rank, size = 0, 1

    def all_gather(self, tensor):
        return tensor


def build(config=ALONE, tau=1.0, unique="append"):
    """An untrained pair; under `append`, a level counts the items of a tuple."""
    torch.manual_seed(0)
    vectors = torch.randn(N, 6)
    tokenizer = soft.Config(num_levels=2, codebook_size=4, widths=(8, 3), first_temperature=tau, last_temperature=tau)
    tokenizer = tokenizer.build(6)
    tokenizer.start(vectors, 0)
    nearest = tokenizer.encode(vectors)
    last = torch.from_numpy(ordinals(row_keys(nearest.int().numpy())))
    codes, sizes = torch.cat([nearest, last[:, None]], 1), (4, 4, N)
    index = Index.of(codes.numpy(), sizes)
    backbone = SMALL.build(index)
    joint = config.build(Pair(tokenizer, backbone, vectors, index.codes, sizes, torch.randn(N, 5)))
    return joint, index


def loss(joint, index, epoch=10**6, batch=BATCH):
    return joint.loss(batch, index, One(), epoch)


def test_the_folder_is_the_registry():
    assert "unigrec" in plug_ins("joint")


def test_one_hot_codes_are_a_lookup():
    """Near temperature 0 the loss is TIGER's own on hard codes, and so is every embedding."""
    joint, index = build(tau=1e-5)
    items = torch.arange(N)
    embedded, _ = joint.soft_items(items)
    assert torch.allclose(embedded, joint.backbone.embed(index.tokens(items)), atol=1e-4)
    found, _ = loss(joint.eval(), index)
    assert float(found.detach()) == pytest.approx(float(joint.backbone.loss(BATCH, index).detach()), abs=1e-4)


def test_soft_codes_are_the_mean_of_the_embedding_s_rows():
    joint, _ = build()
    embedded, error = joint.soft_items(torch.tensor([7]))
    tokenizer = joint.tokenizer
    found = tokenizer.soften(joint.latents(torch.tensor([7])), tokenizer.last_temperatures())
    table = joint.backbone.t5.shared.weight
    for level in range(2):
        start = joint.backbone.level_starts[level]
        expected = sum(found.log_p[0, level, k].exp() * table[start + k] for k in range(4))
        assert torch.allclose(embedded[0, level], expected, atol=1e-6)
    made = tokenizer.restore(found.quantized) - tokenizer.standardise(joint.vectors[[7]])
    assert float(error.detach()) == pytest.approx(float(made.square().mean().detach()))


def test_the_next_item_s_loss_alone_reaches_the_tokenizer():
    joint, index = build()
    loss(joint, index)[0].backward()
    reached = {name: float(p.grad.norm()) for name, p in joint.tokenizer.named_parameters() if p.grad is not None}
    assert reached["codebooks"] > 0
    assert reached["encoder.0.weight"] > 0
    assert "decoder.0.weight" not in reached


def test_an_item_that_gave_way_is_read_by_the_codes_that_it_got():
    joint, index = build()
    joint.moved[7] = True
    joint.codes[7, :2] = torch.tensor([3, 3], dtype=torch.int32)
    embedded, _ = joint.soft_items(torch.tensor([7, 8]))
    starts = torch.tensor(joint.backbone.level_starts)
    hard = joint.backbone.t5.shared.weight[starts + joint.codes[7].long()]
    assert torch.equal(embedded[0], hard)
    assert not torch.allclose(embedded[1, 0], joint.backbone.embed(index.tokens(torch.tensor([8])))[0, 0])


def test_padding_is_neither_read_nor_reconstructed():
    joint, index = build(replace(ALONE, reconstruction_weight=0.5))
    wide = Batch(torch.cat([BATCH.histories, torch.full((2, 4), PAD)], 1), BATCH.targets)
    first, second = (loss(joint.eval(), index, batch=batch) for batch in (BATCH, wide))
    assert float(first[0].detach()) == pytest.approx(float(second[0].detach()), rel=1e-5)
    assert float(first[1]["reconstruction"]) == pytest.approx(float(second[1]["reconstruction"]), rel=1e-5)


def test_the_mean_state_is_over_real_positions():
    states = torch.arange(12.0).view(2, 3, 2)
    real = torch.tensor([[True, True, False], [True, False, False]])
    assert mean_state(states, real).tolist() == [[1.0, 2.0], [6.0, 7.0]]


def test_the_loss_is_the_weighted_sum_of_its_parts():
    config = unigrec.Config(tokenizer_distillation=0.2, recommender_distillation=0.3, warm_epochs=4)
    joint, index = build(config)
    early, shown = loss(joint, index, epoch=3)
    expected = shown["recommendation"] + 0.5 * shown["reconstruction"]
    assert float(early.detach()) == pytest.approx(float(expected), rel=1e-5)
    late, shown = loss(joint, index, epoch=4)
    expected += 0.2 * shown["tokenizer_distillation"] + 0.3 * shown["recommender_distillation"]
    assert float(late.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_every_weight_learns_the_projections_too():
    joint, index = build(unigrec.Config())
    loss(joint, index)[0].backward()
    assert [name for name, p in joint.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []
    assert sorted(joint.heads) == ["predicted", "read", "taught"]


@pytest.mark.parametrize(
    ("weight", "kept"),
    [("tokenizer_distillation", ["predicted"]), ("recommender_distillation", ["read", "taught"])],
)
def test_a_weight_of_0_builds_nothing(weight, kept):
    joint, index = build(replace(unigrec.Config(), **{weight: 0.0}))
    assert sorted(joint.heads) == kept
    assert weight not in loss(joint, index)[1]
    assert not ALONE.needs_teacher


def test_cd_t_is_0_where_both_say_the_same_and_reaches_the_codebooks():
    joint, index = build(replace(unigrec.Config(), recommender_distillation=0, reconstruction_weight=0))
    with torch.no_grad():
        for head in joint.heads.values():
            head.weight.zero_()
            head.bias.fill_(0.3)
    assert float(loss(joint, index)[1]["tokenizer_distillation"]) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        joint.heads["taught"].bias.fill_(-1.0)
    assert float(loss(joint, index)[1]["tokenizer_distillation"]) > 0


def test_a_soft_search_answers_all_items_by_their_probabilities():
    joint, index = build()
    reader = joint.eval().reader()
    with torch.no_grad():
        found = reader.search(BATCH.histories, index, k=N, beam=N)
        log_p = reader.log_probs(BATCH.histories, found.items[:, 0], index).sum(1)
    assert found.items.sort(1).values.tolist() == [list(range(N))] * 2
    assert torch.allclose(log_p, found.scores[:, 0], atol=1e-4)
