"""LETTER: an RQ-VAE and no more where its weights are 0; its loss in plain words; workers as one; what it asks for."""

import pytest
import torch

from tests.references import alignment as twin
from unisid.errors import ConfigError
from unisid.tokenizers import Batch, letter, rqvae

SMALL = {"num_levels": 2, "codebook_size": 6, "widths": (8, 3), "restart_after": 2, "sinkhorn_epsilon": 0.01}


class Alone:
    rank = 0

    def all_gather(self, tensor):
        return tensor


class Gathered:
    """Rank r of two workers; gathers latents first and collaborative vectors then."""

    def __init__(self, rank, *everyone):
        self.rank, self.everyone = rank, list(everyone)

    def all_gather(self, tensor):
        return self.everyone.pop(0)


def build(config):
    torch.manual_seed(0)
    model = config.build(5)
    model.mean.fill_(0.3)
    model.std.fill_(1.7)
    model.start(torch.randn(64, 5), 0)
    return model


def batch(count: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(3)
    known = torch.randn(count, 3, generator=generator)
    known[::4] = 0
    return Batch(torch.randn(count, 5, generator=generator), known)


def test_without_its_two_weights_it_is_an_rqvae_bit_for_bit():
    config = letter.Config(**SMALL, alignment_weight=0.0, diversity_weight=0.0)
    assert config.collaborative_width == 0
    models = build(config), build(rqvae.Config(**SMALL))
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-2) for model in models]
    for _ in range(8):
        x = torch.randn(20, 5)
        losses = []
        for model, optimizer in zip(models, optimizers, strict=True):
            loss, shown = model.loss(Batch(x), Alone())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append((loss, shown))
        assert torch.equal(losses[0][0], losses[1][0])
        assert losses[0][1] == losses[1][1]
    ours, theirs = models
    for name, value in theirs.state_dict().items():
        if name not in ("mean", "std"):
            assert torch.equal(value, ours.state_dict()[f"autoencoder.{name}"]), name
    assert torch.equal(ours.encode(x), theirs.encode(x))
    assert torch.equal(ours.decode(ours.encode(x)), theirs.decode(theirs.encode(x)))


def test_the_loss_is_that_of_the_rqvae_and_two_more():
    settings = SMALL | {"restart_after": 0, "sinkhorn_epsilon": 0.0}
    model = build(letter.Config(**settings, alignment_weight=0.3, diversity_weight=0.7, num_clusters=2))
    x = batch()
    loss, shown = model.loss(x, Alone())
    plain, _ = build(rqvae.Config(**settings)).loss(Batch(x.vectors), Alone())
    codes = model.encode(x.vectors)
    alignment = twin.alignment_loss(
        model.lookup(codes).detach().numpy(), x.collaborative.numpy(), range(20), [n % 4 != 0 for n in range(20)]
    )
    books = model.autoencoder.codebooks.detach().numpy()
    levels = [twin.diversity_loss(books[m], model.clusters[m].tolist(), codes[:, m].tolist()) for m in range(2)]
    assert float(shown["alignment"]) == pytest.approx(alignment, rel=1e-5)
    assert float(shown["diversity"]) == pytest.approx(sum(levels) / 2, rel=1e-5)
    expected = float(plain.detach()) + 0.3 * alignment + 0.7 * sum(levels) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_halves_of_a_batch_average_to_the_whole():
    whole, config = batch(), letter.Config(**SMALL, alignment_weight=0.5, diversity_weight=0.5)
    results = []
    for parts in ([slice(0, 20)], [slice(0, 10), slice(10, 20)]):
        models = [build(config) for _ in parts]
        everyone = models[0].latent(models[0].standardise(whole.vectors)).detach()
        losses = []
        for rank, (model, part) in enumerate(zip(models, parts, strict=True)):
            share = Batch(whole.vectors[part], whole.collaborative[part])
            loss, _ = model.loss(share, Gathered(rank, everyone, whole.collaborative))
            loss.backward()
            losses.append(loss.detach())
        gradient = torch.stack([m.autoencoder.encoder[0].weight.grad for m in models]).mean(0)
        books = torch.stack([m.autoencoder.codebooks.grad for m in models]).mean(0)
        results.append((torch.stack(losses).mean(), gradient, books, models[-1].clusters))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_descent_makes_codes_agree_with_interactions():
    """What interactions say of items is a small part of what their vectors say; alignment brings it to the front."""
    torch.manual_seed(1)
    group = torch.arange(120) % 3
    x = torch.randn(120, 5)
    x[:, 0] = (group - 1) + 0.1 * x[:, 0]
    known, purity = 3 * torch.eye(3)[group], []
    for weight in (0.0, 1.0):
        model = build(letter.Config(**(SMALL | {"sinkhorn_epsilon": 0.0, "widths": (16, 3)}), alignment_weight=weight))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(80):
            loss, _ = model.loss(Batch(x, known), Alone())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        first = model.encode(x)[:, 0]
        together = first[:, None] == first
        purity.append(float((together & (group[:, None] == group)).sum() / together.sum()))
    assert purity[1] > purity[0] + 0.2


def test_codewords_are_clustered_anew_every_so_many_steps():
    model = build(letter.Config(**SMALL, recluster_every=3, num_clusters=10))
    kept = []
    for step in range(7):
        model.loss(batch(), Alone())
        if step % 3 == 0:
            kept.append(model.clusters.clone())
            assert (torch.stack([level.bincount() for level in model.clusters]) == 2).all()  # 3 clusters of 6 codewords
            with torch.no_grad():
                model.autoencoder.codebooks.copy_(torch.randn(2, 6, 3))
        assert torch.equal(model.clusters, kept[-1])
    assert not torch.equal(kept[0], kept[2])
    assert int(model.steps) == 7


def test_alignment_without_vectors_and_bad_settings_are_refused():
    config = letter.Config(**SMALL)
    assert config.collaborative_width == 3
    with pytest.raises(ConfigError, match=r"alignment_weight 0\.02 needs collaborative vectors.*alignment_weight=0"):
        build(config).loss(Batch(torch.randn(8, 5)), Alone())
    with pytest.raises(ConfigError, match=r"letter.alignment_weight: is -1.0; must be at least 0"):
        letter.Config(alignment_weight=-1.0)
    with pytest.raises(ConfigError, match="num_clusters: is 0; must be at least 1"):
        letter.Config(num_clusters=0)
    with pytest.raises(ConfigError, match=r"letter: widths \(\)"):
        letter.Config(widths=())
