"""The soft tokenizer: its loss in plain words, its temperature, what is read of it."""

import math

import pytest
import torch

from tests.references import soft as twin
from unisid.errors import ConfigError
from unisid.ops.residual import quantize
from unisid.tokenizers import Batch, soft


class Half:
    """One of two workers; what the other has is given."""

    def __init__(self, rank, other):
        self.rank, self.other = rank, other

    def all_gather(self, tensor):
        return torch.cat([tensor, self.other] if self.rank == 0 else [self.other, tensor])


class Alone:
    rank = 0

    def all_gather(self, tensor):
        return tensor


def build(**settings):
    torch.manual_seed(0)
    defaults = {"num_levels": 2, "codebook_size": 4, "widths": (8, 3), "anneal_steps": 10}
    model = soft.Config(**(defaults | settings)).build(5)
    model.start(torch.randn(64, 5), 0)
    return model


def test_loss_is_reconstruction_and_the_negative_entropy_of_the_mean():
    model, x = build(uniformity_weight=0.5).eval(), torch.randn(10, 5)
    loss, shown = model.loss(Batch(x), Alone())
    books, tau = model.codebooks.detach().numpy(), model.temperatures().numpy()
    p, quantized = twin.soft(model.latent(x).detach().numpy(), books, tau)
    reconstruction = (model.decoder(torch.from_numpy(quantized).float()) - x).square().mean()
    uniformity = sum(share * math.log(share) for share in p.mean(0).ravel())
    assert float(shown["uniformity"]) == pytest.approx(uniformity, rel=1e-4)
    assert float(loss.detach()) == pytest.approx(float(reconstruction.detach()) + 0.5 * uniformity, rel=1e-4)


def test_halves_of_a_batch_average_to_the_whole():
    x = torch.randn(12, 5)
    whole, _ = build(uniformity_weight=1.0).eval().loss(Batch(x), Alone())
    found = []
    for rank, part in enumerate(x.chunk(2)):
        model = build(uniformity_weight=1.0).eval()
        other = x.chunk(2)[1 - rank]
        mean = model.soften(model.latent(other), model.temperatures()).log_p.exp().mean(0, keepdim=True)
        found.append(float(model.loss(Batch(part), Half(rank, mean.detach()))[0].detach()))
    assert sum(found) / 2 == pytest.approx(float(whole.detach()), rel=1e-5)


def test_the_temperature_falls_linearly_and_stays_at_its_last():
    model = build(first_temperature=1.0, last_temperature=0.2).train()
    found = []
    for _ in range(12):
        found.append(float(model.temperatures()[0] / model.unit[0]))
        model.loss(Batch(torch.randn(4, 5)), Alone())
    assert found[:3] == pytest.approx([1.0, 0.92, 0.84])
    assert found[10:] == pytest.approx([0.2, 0.2])
    assert torch.allclose(model.temperatures(), model.last_temperatures())


def test_validation_does_not_cool_it():
    model = build().eval()
    model.loss(Batch(torch.randn(4, 5)), Alone())
    assert int(model.steps) == 0


def test_relative_temperatures_do_not_depend_on_the_scale_of_the_latents():
    """An encoder that gives all latents tenfold gives the same soft codes; absolute temperatures do not."""
    x = torch.randn(64, 5)
    for relative in (True, False):
        found = []
        for scale in (1.0, 10.0):
            model = build(relative=relative)
            with torch.no_grad():
                model.encoder[-1].weight.mul_(scale)
                model.start(x, 0)
            found.append(model.soften(model.latent(x), model.temperatures()).log_p.exp())
        assert torch.allclose(*found, atol=1e-3) == relative


def test_absolute_temperatures_are_as_they_are_given():
    model = build(relative=False, first_temperature=0.01, last_temperature=0.001)
    assert model.temperatures().tolist() == pytest.approx([0.01, 0.01])
    assert model.last_temperatures().tolist() == pytest.approx([0.001, 0.001])


def test_at_a_low_temperature_its_codes_are_the_nearest_codewords():
    model, x = build(last_temperature=1e-4), torch.randn(50, 5)
    with torch.no_grad():
        assert torch.equal(model.encode(x), quantize(model.latent(x), model.codebooks))


def test_descent_makes_codes_that_say_more_of_the_vectors():
    torch.manual_seed(1)
    middle = torch.randn(12, 5)
    x = middle[torch.arange(240) % 12] + 0.1 * torch.randn(240, 5)
    model = build(codebook_size=8, widths=(32, 4), anneal_steps=200)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(200):
        loss, shown = model.loss(Batch(x), Alone())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(shown["reconstruction"]))
    assert errors[-1] < 0.3 * errors[0]


def test_no_width_is_refused():
    with pytest.raises(ConfigError, match=r"soft: widths \(\); must name at least"):
        soft.Config(widths=())
