"""What every backbone must do, whichever modules the folder holds."""

import pytest
import torch

from tests.backbones.models import settings
from tests.ops.test_beam import random_codes
from unisid.backbones import PAD, Backbone
from unisid.config import from_record, plug_ins, to_record
from unisid.ops import beam, trie
from unisid.ops.beam import Decoder

SIZES = (4, 5, 3)
TOKENS = torch.tensor([[0, 4, 9, 1, 5, 10], [3, 8, 11, PAD, PAD, PAD]])
TARGETS = torch.tensor([[2, 6, 9], [0, 4, 11]])


@pytest.fixture(scope="module", params=plug_ins("backbones"))
def config(request, tmp_path_factory):
    return settings(request.param, tmp_path_factory.mktemp("language"))


@pytest.fixture
def backbone(config) -> Backbone:
    torch.manual_seed(0)
    return config.build(SIZES)


def test_its_settings_survive_the_round_trip(config):
    assert from_record(type(config), to_record(config)) == config


def test_it_is_a_decoder_whose_levels_do_not_overlap(backbone):
    assert isinstance(backbone, Decoder)
    starts = backbone.level_starts
    assert all(b - a >= size for a, b, size in zip(starts, starts[1:], SIZES, strict=False))


def test_the_loss_is_what_the_decoder_says_of_the_target(backbone):
    """Teacher forcing in one pass equals the search's own steps along the target."""
    backbone.eval()
    with torch.no_grad():
        loss = backbone.loss(TOKENS, TARGETS)
        state, hidden = backbone.start(TOKENS)
        parents = torch.zeros(2, 1, dtype=torch.long)
        foretold = torch.zeros(())
        offset = 0
        for level, size in enumerate(SIZES):
            entries = TARGETS[:, level] - offset + backbone.level_starts[level]
            log_p = backbone.logits(hidden, slice(None)).float().log_softmax(-1)
            foretold -= log_p[:, 0].gather(1, entries[:, None]).mean() / len(SIZES)
            offset += size
            if level < len(SIZES) - 1:
                state, hidden = backbone.step(state, entries[:, None], parents)
    assert torch.allclose(loss, foretold, atol=1e-5)


def test_every_weight_that_learns_is_reached_by_the_loss(backbone):
    backbone.train()
    backbone.loss(TOKENS, TARGETS).backward()
    assert [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


def test_padding_changes_nothing(backbone):
    backbone.eval()
    wide = torch.cat([TOKENS, torch.full((2, 4), PAD)], 1)
    with torch.no_grad():
        assert torch.allclose(backbone.loss(TOKENS, TARGETS), backbone.loss(wide, TARGETS), atol=1e-5)


def test_some_of_the_head_is_the_same_as_that_part_of_all_of_it(backbone):
    with torch.no_grad():
        _, hidden = backbone.eval().start(TOKENS)
        assert torch.allclose(
            backbone.logits(hidden, slice(2, 7)), backbone.logits(hidden, slice(None))[..., 2:7], atol=1e-6
        )


def test_it_can_be_searched(backbone):
    codes = random_codes(30, seed=0, sizes=SIZES)
    with torch.no_grad():
        found = beam.search(backbone.eval(), TOKENS, trie.build(codes), k=30, beam=30)
    assert found.items.sort(1).values.tolist() == [list(range(30))] * 2


def test_what_is_saved_is_the_whole_of_it(config, backbone):
    """The structure is rebuilt from the files, and the weights make it the same model."""
    backbone.eval()
    torch.manual_seed(1)
    again = config.rebuild(SIZES, backbone.files()).eval()
    again.load(backbone.weights())
    with torch.no_grad():
        assert torch.equal(again.loss(TOKENS, TARGETS), backbone.loss(TOKENS, TARGETS))
    assert again.level_starts == backbone.level_starts
    assert again.files() == backbone.files()


def test_titles_may_be_shown_to_it_before_it_learns(backbone):
    codes = random_codes(30, seed=0, sizes=SIZES).numpy()
    backbone.start_from(codes, [f"item number {n}" for n in range(30)])
    assert backbone.loss(TOKENS, TARGETS).isfinite()
