"""RQ-KMeans+: at the start it is residual k-means, code by code; learning does not lose what that had."""

import numpy as np
import pytest
import torch

from tests.stages.test_codes import QUICK, clusters, make
from tests.tokenizers.test_contract import WIDTH, Alone, vectors
from unisid.artifacts.store import Place
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.ops.kmeans import residual_kmeans
from unisid.ops.residual import quantize
from unisid.stages import codes as stage
from unisid.tokenizers import Batch, read_tokenizer, rqkmeans_plus


def begun(**more):
    torch.manual_seed(0)
    tokenizer = rqkmeans_plus.Config(num_levels=3, codebook_size=8, **({"widths": (24, 8)} | more)).build(WIDTH)
    tokenizer.mean.copy_(vectors().mean(0))
    tokenizer.std.copy_(vectors().std(0))
    tokenizer.start(vectors(), 5)
    return tokenizer


@torch.no_grad()
def test_at_the_start_its_codes_are_those_of_residual_kmeans():
    tokenizer = begun()
    standard = tokenizer.standardise(vectors())
    assert torch.equal(tokenizer.latent(standard), standard)
    wanted = quantize(standard, residual_kmeans(standard, 3, 8, seed=5))
    assert torch.equal(tokenizer.encode(vectors()), wanted)


def test_learning_lowers_its_loss_and_every_layer_takes_part():
    tokenizer = begun()
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=3e-3, weight_decay=0)
    losses = []
    for _ in range(60):
        loss, _ = tokenizer.train().loss(Batch(vectors()), Alone())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(float(layer.grad.abs().sum()) > 0 for layer in tokenizer.encoder.parameters())


@pytest.mark.parametrize("widths", [(24, 8), (8,)], ids=["three layers", "two layers"])
@torch.no_grad()
def test_what_was_learned_is_carried_to_readers(widths):
    tokenizer = begun(widths=widths)
    for parameter in tokenizer.encoder.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    found = tokenizer.portable()
    named = {"mean": tokenizer.mean, "std": tokenizer.std, **found.arrays()}
    how = {"quantizer": "residual", "levels": 3, "sizes": [8] * 3, "layers": len(found.layers), "normalise": False}
    codes = reader.encoded(vectors(seed=3).numpy(), {n: t.numpy() for n, t in named.items()}, how)
    assert np.array_equal(codes, tokenizer.encode(vectors(seed=3)))


def test_an_index_is_made_of_it(place: Place):
    config = rqkmeans_plus.Config(num_levels=3, codebook_size=8, widths=(16,))
    codes = make(place, stage.Config(tokenizer=config, training=QUICK, batch_size=80), clusters())
    assert len(np.unique(codes.codes, axis=0)) == 200
    assert codes.record.figure("quality", "reconstruction_error") > 0
    assert read_tokenizer(codes.place).portable().quantizer == "residual"


def test_hidden_layers_must_be_named():
    with pytest.raises(ConfigError, match=r"rqkmeans_plus: widths \(\)"):
        rqkmeans_plus.Config(widths=())
