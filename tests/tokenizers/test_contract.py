"""What every tokenizer in the folder must do."""

import pytest
import torch

from unisid.artifacts.store import Place
from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.errors import ConfigError
from unisid.ops.kmeans import unwatched
from unisid.tokenizers import Batch, LearnedTokenizer, TokenizerConfig, read_tokenizer, write_tokenizer

KINDS = plug_ins("tokenizers")
WIDTH = 12


def vectors(count: int = 300, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(10, WIDTH, generator=generator)
    return middle[torch.arange(count) % 10] + 0.1 * torch.randn(count, WIDTH, generator=generator) + 5


def fitted(kind: str, count: int = 300, on_round=unwatched):
    torch.manual_seed(0)
    config = plug_in("tokenizers", kind)(num_levels=2, codebook_size=8)
    tokenizer = config.build(WIDTH)
    tokenizer.mean.copy_(vectors().mean(0))
    tokenizer.std.copy_(vectors().std(0))
    tokenizer.on_round = on_round
    tokenizer.start(vectors(count), 3)
    return config, tokenizer.eval()


class Alone:
    rank = 0

    def all_gather(self, tensor):
        return tensor


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_the_folder_is_the_registry():
    assert {"rqvae", "rqkmeans", "letter", "balanced", "hkmeans", "opq", "paired"} <= set(KINDS)


def test_settings_say_their_sizes_and_survive_the_record(kind):
    config = plug_in("tokenizers", kind)(num_levels=4, codebook_size=16)
    assert isinstance(config, TokenizerConfig)
    assert config.sizes == (16, 16, 16, 16)
    assert from_record(TokenizerConfig, to_record(config)) == config


@pytest.mark.parametrize("bad", [{"num_levels": 0}, {"codebook_size": 1}, {"sample": 0}])
def test_impossible_sizes_are_refused(kind, bad):
    [name] = bad
    with pytest.raises(ConfigError, match=rf"{kind}.{name}: is {bad[name]}; must be at least {bad[name] + 1} "):
        plug_in("tokenizers", kind)(**bad)


@torch.no_grad()
def test_codes_are_in_range_and_decode_to_vectors(kind):
    _, tokenizer = fitted(kind)
    codes = tokenizer.encode(vectors())
    assert codes.shape == (300, 2)
    assert codes.min() >= 0
    assert codes.max() < 8
    decoded = tokenizer.decode(codes)
    assert decoded.shape == (300, WIDTH)
    assert decoded.isfinite().all()
    assert decoded.dtype == torch.float32
    assert tokenizer.encode(vectors()[:0]).shape == (0, 2)


@torch.no_grad()
def test_rows_are_encoded_each_for_itself(kind):
    _, tokenizer = fitted(kind)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    assert torch.equal(tokenizer.encode(vectors()[order]), tokenizer.encode(vectors())[order])


@torch.no_grad()
def test_a_prefix_is_completed_with_the_nearest_codes(kind):
    """What resolves collisions stands on this: `distances` to the next level's codes, `complete` by the nearest."""
    _, tokenizer = fitted(kind)
    latents = tokenizer.latent(tokenizer.standardise(vectors()))
    assert torch.equal(tokenizer.complete(latents, torch.empty(300, 0, dtype=torch.long)), tokenizer.encode(vectors()))
    other = (tokenizer.encode(vectors())[:, :1] + 1) % 8
    codes = tokenizer.complete(latents, other)
    assert torch.equal(codes[:, :1], other)
    distances = tokenizer.distances(latents, other)
    assert distances.shape == (300, 8)
    assert torch.equal(tokenizer.complete(latents, codes), codes)
    words = torch.stack([tokenizer.lookup(torch.cat([other, torch.full_like(other, k)], 1)) for k in range(8)], 1)
    exact = (latents[:, None] - words).square().sum(2)
    least = exact.gather(1, codes[:, 1:])[:, 0]
    torch.testing.assert_close(least, exact.amin(1), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(distances - distances[:, :1], exact - exact[:, :1], atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_start_is_a_function_of_its_arguments_and_spreads_the_codes(kind):
    _, tokenizer = fitted(kind)
    seen = []
    _, again = fitted(kind, on_round=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen), "how far it is grows"
    assert (seen[0] > 0, seen[-1]) == (True, 1)
    assert len(seen) > 1
    assert all(torch.equal(*pair) for pair in zip(*(t.state_dict().values() for t in (tokenizer, again)), strict=True))
    used = [len(level.unique()) for level in tokenizer.encode(vectors()).T]
    assert min(used) >= 6
    latents = tokenizer.latent(tokenizer.standardise(vectors()))
    quantized = tokenizer.lookup(tokenizer.encode(vectors()))
    assert (latents - quantized).square().sum() < 0.5 * (latents - latents.mean(0)).square().sum()


def test_a_sample_smaller_than_the_codebook_is_enough(kind):
    _, tokenizer = fitted(kind, count=3)
    assert all(value.isfinite().all() for value in tokenizer.state_dict().values())
    assert tokenizer.decode(tokenizer.encode(vectors(3))).isfinite().all()


@torch.no_grad()
def test_written_and_read_is_the_same(kind, place: Place):
    config, tokenizer = fitted(kind)
    write_tokenizer(place, config, tokenizer)
    again = read_tokenizer(place)
    assert type(again) is type(tokenizer)
    assert torch.equal(again.encode(vectors()), tokenizer.encode(vectors()))
    assert torch.equal(again.decode(again.encode(vectors())), tokenizer.decode(tokenizer.encode(vectors())))


def test_gradients_reach_every_parameter_of_what_learns(kind):
    config, tokenizer = fitted(kind)
    if not isinstance(tokenizer, LearnedTokenizer):
        assert not list(tokenizer.parameters())
        return
    asked = config.collaborative_width
    collaborative = torch.randn(300, asked, generator=torch.Generator().manual_seed(2)) if asked else None
    loss, shown = tokenizer.train().loss(Batch(vectors(), collaborative), Alone())
    assert loss.isfinite()
    assert not any(value.requires_grad for value in shown.values())
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in tokenizer.parameters())


@torch.no_grad()
def test_codes_take_other_names_and_nothing_else_changes(kind):
    _, tokenizer = fitted(kind)
    before, decoded = tokenizer.encode(vectors()), tokenizer.decode(tokenizer.encode(vectors()))
    names = [torch.randperm(8, generator=torch.Generator().manual_seed(m)) for m in range(2)]
    if kind == "hkmeans":
        with pytest.raises(ConfigError, match="a code means something else below every prefix"):
            tokenizer.rename(names)
        return
    tokenizer.rename(names)
    after = tokenizer.encode(vectors())
    assert torch.equal(after, torch.stack([name[column] for name, column in zip(names, before.T, strict=True)], 1))
    torch.testing.assert_close(tokenizer.decode(after), decoded)
