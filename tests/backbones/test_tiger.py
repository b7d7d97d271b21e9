import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from tests.backbones.models import index_of
from unisid.backbones import PAD
from unisid.backbones.tiger import FIRST_TOKEN, START, Config, Tiger
from unisid.config import to_record
from unisid.errors import ConfigError

SIZES = (8, 5, 6, 4)
CONFIG = Config(width=32, num_heads=3, head_width=8, feedforward_width=40, num_encoder_layers=2, num_decoder_layers=3)


@pytest.fixture(scope="module")
def tiger() -> Tiger:
    torch.manual_seed(3)
    return CONFIG.build(index_of(SIZES)).eval()


def sample(rows: int, length: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.tensor([0, 8, 13, 19])
    histories = torch.randint(sum(SIZES), (rows, length), generator=generator)
    lengths = torch.randint(1, length + 1, (rows, 1), generator=generator)
    histories = histories.masked_fill(torch.arange(length) >= lengths, PAD)
    targets = torch.stack([torch.randint(size, (rows,), generator=generator) for size in SIZES], 1) + offsets
    return histories, targets


def library(tiger: Tiger, histories: torch.Tensor, targets: torch.Tensor):
    """The same question put to transformers' own forward pass."""
    real = histories >= 0
    prompt = torch.where(real, histories + FIRST_TOKEN, START)
    return tiger.t5(input_ids=prompt, attention_mask=real.long(), labels=targets + FIRST_TOKEN)


@pytest.mark.parametrize("length", [1, 9, 150])
def test_the_loss_and_its_gradient_are_the_librarys(tiger, length):
    histories, targets = sample(6, length, seed=length)
    ours = tiger.token_loss(histories, targets)
    theirs = library(tiger, histories, targets).loss
    assert torch.allclose(ours, theirs, atol=1e-5)
    parameters = list(tiger.parameters())
    for mine, other in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


@torch.no_grad()
def test_a_temperature_divides_the_logits_of_the_loss_alone(tiger):
    histories, targets = sample(6, 9, seed=3)
    warm = dataclasses.replace(CONFIG, temperature=0.5).build(index_of(SIZES)).eval()
    warm.load_state_dict(tiger.state_dict())
    logits = library(tiger, histories, targets).logits / 0.5
    expected = functional.cross_entropy(logits.flatten(0, 1), (targets + FIRST_TOKEN).flatten())
    assert torch.allclose(warm.token_loss(histories, targets), expected, atol=1e-5)
    hidden = torch.randn(2, 3, CONFIG.width)
    assert torch.equal(warm.logits(hidden, slice(None)), tiger.logits(hidden, slice(None)))


def test_a_temperature_of_one_leaves_the_identity_as_it_was():
    assert "temperature" not in to_record(Config(), identity=True)
    assert to_record(Config(temperature=0.5), identity=True)["temperature"] == 0.5


@torch.no_grad()
def test_decoding_step_by_step_with_beams_gives_the_librarys_logits(tiger):
    histories, _ = sample(3, 12, seed=5)
    generator = torch.Generator().manual_seed(6)
    state, hidden = tiger.start(histories)
    prefixes = torch.full((3, 1, 1), START)
    real = histories >= 0
    prompt = torch.where(real, histories + FIRST_TOKEN, START)
    for beams in (4, 7, 5):
        parents = torch.randint(prefixes.shape[1], (3, beams), generator=generator)
        tokens = torch.randint(1, sum(SIZES), (3, beams), generator=generator)
        state, hidden = tiger.step(state, tokens, parents)
        prefixes = torch.cat([prefixes[torch.arange(3)[:, None], parents], tokens[..., None]], -1)
        logits = tiger.logits(hidden, slice(None))
        for k in range(beams):
            theirs = tiger.t5(input_ids=prompt, attention_mask=real.long(), decoder_input_ids=prefixes[:, k]).logits
            assert torch.allclose(logits[:, k], theirs[:, -1], atol=1e-5)


@torch.no_grad()
def test_every_dropout_of_training_is_seeded_and_none_is_left_in_evaluation(tiger):
    histories, targets = sample(4, 9, seed=8)
    assert torch.equal(tiger.token_loss(histories, targets), tiger.token_loss(histories, targets))
    tiger.train()
    try:
        torch.manual_seed(1)
        first = tiger.token_loss(histories, targets)
        second = tiger.token_loss(histories, targets)
        torch.manual_seed(1)
        assert torch.equal(first, tiger.token_loss(histories, targets))
        assert not torch.equal(first, second)
    finally:
        tiger.eval()


def test_its_default_size_is_the_papers():
    t5 = Config().build(index_of((256, 256, 256))).t5.config
    assert (t5.d_model, t5.num_heads, t5.d_kv, t5.d_ff) == (128, 6, 64, 1024)
    assert (t5.num_layers, t5.num_decoder_layers, t5.dropout_rate) == (4, 4, 0.1)


@pytest.mark.parametrize("settings", [{"width": 0}, {"dropout": 1.0}, {"num_decoder_layers": 0}])
def test_impossible_sizes_are_refused(settings):
    with pytest.raises(ConfigError, match=rf"tiger.{next(iter(settings))}: is .*; must be at least"):
        Config(**settings)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_impossible_temperatures_are_refused(value):
    with pytest.raises(ConfigError, match=f"tiger.temperature: is {value}; must be .*above 0"):
        Config(temperature=value)
