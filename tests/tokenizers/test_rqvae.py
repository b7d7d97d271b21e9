"""RQ-VAE: its loss in plain words, dead codes, balance, gathered batches."""

import pytest
import torch

from tests.references import residual as twin
from unisid.errors import ArtifactError, ConfigError
from unisid.tokenizers import Batch, read_tokenizer, rqvae, write_tokenizer


class Shard:
    """Rank r of two workers that hold the halves of a batch; what is gathered is given."""

    def __init__(self, rank, everyone):
        self.rank, self.everyone = rank, everyone

    def all_gather(self, tensor):
        return self.everyone if tensor.shape[1:] == self.everyone.shape[1:] else tensor


def build(**settings):
    torch.manual_seed(0)
    defaults = {"num_levels": 2, "codebook_size": 4, "widths": (8, 3), "restart_after": 0}
    model = rqvae.Config(**(defaults | settings)).build(5)
    model.start(torch.randn(64, 5), 0)
    return model


def test_loss_is_reconstruction_and_weighted_quantization():
    model, x = build(quantization_weight=0.5, beta=0.3), torch.randn(10, 5)
    latents = model.latent(x).detach()
    loss, shown = model.loss(Batch(x), Shard(0, latents))
    codes = twin.quantize(latents.numpy(), model.codebooks.detach().numpy())
    quantized = torch.from_numpy(twin.lookup(codes, model.codebooks.detach().numpy())).float()
    reconstruction = (model.decoder(quantized) - x).square().mean()
    quantization = twin.quantization_loss(latents.numpy(), model.codebooks.detach().numpy(), codes, 0.3)
    torch.testing.assert_close(shown["reconstruction"], reconstruction.detach())
    assert float(loss.detach()) == pytest.approx(float(reconstruction.detach()) + 0.5 * quantization, rel=1e-5)


def test_descent_makes_codes_that_say_more_of_the_vectors():
    torch.manual_seed(1)
    middle = torch.randn(12, 5)
    x = middle[torch.arange(240) % 12] + 0.1 * torch.randn(240, 5)
    model = build(codebook_size=8, widths=(32, 4), restart_after=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(200):
        loss, shown = model.loss(Batch(x), Shard(0, model.latent(x).detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(shown["reconstruction"]))
    assert errors[-1] < 0.2 * errors[0]
    assert [len(level.unique()) for level in model.encode(x).T] == [8, 8]


def test_halves_of_a_batch_average_to_the_whole_and_restart_alike():
    x = torch.randn(20, 5)
    results = []
    for parts in ([x], [x[:10], x[10:]]):
        models = [build(restart_after=1) for _ in parts]
        everyone = models[0].latent(x).detach()
        losses = []
        for rank, (model, part) in enumerate(zip(models, parts, strict=True)):
            loss, _ = model.loss(Batch(part), Shard(rank, everyone))
            loss.backward()
            losses.append(loss.detach())
        gradient = torch.stack([m.encoder[0].weight.grad for m in models]).mean(0)
        books = torch.stack([m.codebooks.grad for m in models]).mean(0)
        assert all(torch.equal(m.codebooks, models[0].codebooks) for m in models)
        results.append((torch.stack(losses).mean(), gradient, books, models[0].codebooks.detach()))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_idle_codewords_become_points_of_the_batch_and_used_ones_stay():
    model = build(restart_after=3)
    with torch.no_grad():
        model.codebooks[0, 2] = 1e6
    x = torch.randn(16, 5)
    latents = model.latent(x).detach()
    for step in range(3):
        assert float(model.codebooks[0, 2, 0].detach()) == 1e6, step
        model.loss(Batch(x), Shard(0, latents))
    assert any(torch.equal(model.codebooks[0, 2], point) for point in latents)
    used = model.encode(x)[:, 0].unique()
    assert (model.idle[0][used] == 0).all()
    # The restarted word is the nearest of the point it became.
    assert 2 in used


def test_never_restarting_leaves_dead_codewords_alone():
    model = build(restart_after=0)
    before = model.codebooks.detach().clone()
    before_idle = model.idle.clone()
    for _ in range(5):
        model.loss(Batch(torch.randn(16, 5)), Shard(0, torch.randn(16, 3)))
    assert torch.equal(model.codebooks, before)
    assert torch.equal(model.idle, before_idle)


def test_balance_acts_on_the_last_level_only_and_only_in_training():
    plain, balanced = build(), build(sinkhorn_epsilon=0.01)
    with torch.no_grad():
        for model in (plain, balanced):
            model.codebooks[1] = torch.tensor([[0.0, 0, 0], [9, 9, 9], [9, -9, 9], [-9, 9, 9]])
    latents = torch.randn(32, 3)
    free, even = plain._settle(latents), balanced._settle(latents)
    assert torch.equal(free[:, 0], even[:, 0])
    assert (free[:, 1] == 0).all()
    assert torch.bincount(even[:, 1], minlength=4).min() >= 4
    x = torch.randn(32, 5)
    assert torch.equal(plain.encode(x), balanced.encode(x))


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match=r"widths \(\)"):
        rqvae.Config(widths=())
    with pytest.raises(ConfigError, match=r"rqvae.beta: is -1.0; must be at least 0"):
        rqvae.Config(beta=-1.0)


def test_weights_of_another_shape_are_refused(place):
    write_tokenizer(place, rqvae.Config(num_levels=2, codebook_size=4, widths=(8, 2)), build())
    with pytest.raises(ArtifactError, match=r"are not the weights tokenizer\.json describes"):
        read_tokenizer(place)
    place.write("tokenizer.json", b"{}")
    with pytest.raises(ArtifactError, match="lacks 'tokenizer' or 'width'"):
        read_tokenizer(place)
