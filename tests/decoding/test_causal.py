import dataclasses

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from tests.decoding.test_beam import random_codes
from unisid.decoding import beam, causal, trie
from unisid.decoding.past import Past
from unisid.errors import ConfigError

VOCABULARY = 61
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL, num_key_value_heads=4),
    "llama, grouped, tied": LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=True),
    "llama, biases": LlamaConfig(**SMALL, num_key_value_heads=1, attention_bias=True, mlp_bias=True),
    "llama 3's rope": LlamaConfig(**SMALL, num_key_value_heads=2, rope_parameters=LLAMA3),
    "qwen2": Qwen2Config(**SMALL, num_key_value_heads=2),
    "qwen2, ungrouped, tied": Qwen2Config(**SMALL, num_key_value_heads=4, tie_word_embeddings=True),
    "qwen2, yarn": Qwen2Config(**SMALL, num_key_value_heads=2, rope_parameters=YARN),
    "qwen3": Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=16),
    "qwen3, ungrouped, tied": Qwen3Config(**SMALL, num_key_value_heads=4, head_dim=8, tie_word_embeddings=True),
}


def random_model(config):
    """A model whose every parameter, biases and norms too, is away from its fresh value."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    return random_model(CONFIGS[request.param])


def prompts() -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of 9, 1 and 14 tokens."""
    real = torch.arange(14) < torch.tensor([[9], [1], [14]])
    ids = torch.randint(VOCABULARY, (3, 14), generator=torch.Generator().manual_seed(1))
    return ids.masked_fill(~real, -1), real


@torch.no_grad()
def test_a_prompt_is_read_as_the_library_reads_it(model):
    ids, real = prompts()
    memory, hidden = causal.read(model, ids, real)
    logits = causal.head(model, hidden)
    assert memory.lengths.tolist() == [9, 1, 14]
    for row, length in enumerate(memory.lengths.tolist()):
        theirs = model(ids[row : row + 1, :length]).logits[0, -1]
        assert torch.allclose(logits[row], theirs, atol=1e-4)


@torch.no_grad()
def test_beams_that_split_join_and_die_have_the_librarys_logits(model):
    ids, real = prompts()
    memory, _ = causal.read(model, ids, real)
    past = Past()
    generator = torch.Generator().manual_seed(2)
    written = torch.zeros(3, 1, 0, dtype=torch.long)
    for step, beams in enumerate((4, 7, 5, 1), 1):
        parents = torch.randint(written.shape[1], (3, beams), generator=generator)
        tokens = torch.randint(VOCABULARY, (3, beams), generator=generator)
        past, hidden = causal.append(model, memory, past.follow(parents), tokens)
        written = torch.cat([written[torch.arange(3)[:, None], parents], tokens[..., None]], -1)
        logits = causal.head(model, hidden)
        assert len(past) == step
        for row, length in enumerate(memory.lengths.tolist()):
            whole = torch.cat([ids[row, :length].expand(beams, -1), written[row]], 1)
            assert torch.allclose(logits[row], model(whole).logits[:, -1], atol=1e-4)


@torch.no_grad()
def test_only_the_beams_own_positions_are_kept_beam_by_beam(model):
    ids, real = prompts()
    memory, _ = causal.read(model, ids, real)
    past, _ = causal.append(model, memory, Past(), torch.zeros(3, 50, dtype=torch.long))
    heads = model.config.num_key_value_heads
    assert all(part.shape[:3] == (3, heads, 14) for pair in memory.layers for part in pair)
    assert all(part.shape[:4] == (3, 50, heads, 1) for pair in past.layers for part in pair)


@torch.no_grad()
def test_some_of_the_head_is_that_part_of_all_of_it(model):
    hidden = torch.randn(2, 3, 32)
    everything = causal.head(model, hidden)
    assert torch.allclose(everything, model.lm_head(hidden))
    assert torch.allclose(causal.head(model, hidden, slice(7, 20)), everything[..., 7:20], atol=1e-6)


class Language:
    """A model as the decoder of a search; its semantic-id tokens are the last 22 of the vocabulary."""

    level_starts = (39, 46, 52)

    def __init__(self, model):
        self.model = model

    def start(self, prompts):
        memory, hidden = causal.read(self.model, prompts, prompts >= 0)
        return (memory, Past()), hidden[:, None]

    def step(self, state, tokens, parents):
        past, hidden = causal.append(self.model, state[0], state[1].follow(parents), tokens)
        return (state[0], past), hidden

    def logits(self, hidden, entries):
        return causal.head(self.model, hidden, entries)


@torch.no_grad()
def test_a_wide_search_equals_the_librarys_scores_of_every_item(model):
    codes = random_codes(60, seed=4)
    entries = codes + torch.tensor(Language.level_starts)
    ids, real = prompts()
    found = beam.search(Language(model), ids, trie.build(codes), k=60, beam=60)
    for row in range(3):
        prompt = ids[row, real[row]].expand(60, -1)
        log_p = model(torch.cat([prompt, entries[:, :2]], 1)).logits[:, -3:].log_softmax(-1)
        scores = log_p.gather(-1, entries[:, :, None]).sum((1, 2))
        assert found.items[row].sort().values.tolist() == list(range(60))
        assert torch.allclose(found.scores[row], scores[found.items[row]], atol=1e-4)
        assert torch.allclose(found.scores[row], scores.sort(descending=True).values, atol=1e-4)


@torch.no_grad()
def test_no_part_of_a_search_waits_for_a_value_and_every_shape_is_known_beforehand():
    """Tensors without values go through all of it, and would raise where one were asked for."""
    codes = random_codes(200, seed=5)
    given = (prompts()[0], trie.build(codes), torch.arange(200) % 3 > 0, torch.randint(200, (3, 4)))
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def without_values(part):
        if isinstance(part, torch.Tensor):
            return mode.from_tensor(part)
        if isinstance(part, tuple):
            return tuple(map(without_values, part))
        if dataclasses.is_dataclass(part):
            return type(part)(**{f.name: without_values(getattr(part, f.name)) for f in dataclasses.fields(part)})
        return part

    ids, built, allowed, excluded = map(without_values, given)
    with mode:
        decoder = Language(random_model(CONFIGS["qwen3"]))
        found, sound = beam.explore(decoder, ids, built, k=5, beam=10, allowed=allowed, excluded=excluded)
        assert found.items.shape == found.scores.shape == (3, 5)
        assert sound.shape == ()
        with pytest.raises(DataDependentOutputException):
            found.items[0, 0].item()


class Doubled(nn.Module):
    """A layer wrapped as adapters wrap one: its output shows in a call alone."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside
        self.weight = inside.weight

    def forward(self, values):
        return 2 * self.inside(values)


@torch.no_grad()
def test_wrapped_layers_are_called():
    model = random_model(CONFIGS["qwen3"])
    for layer in model.model.layers:
        layer.self_attn.v_proj = Doubled(layer.self_attn.v_proj)
        layer.mlp.up_proj = Doubled(layer.mlp.up_proj)
        layer.input_layernorm = Doubled(layer.input_layernorm)
    model.lm_head = Doubled(model.lm_head)
    ids, real = prompts()
    memory, first = causal.read(model, ids, real)
    _, second = causal.append(model, memory, Past(), torch.tensor([[5], [6], [7]]))
    for row, length in enumerate(memory.lengths.tolist()):
        whole = torch.cat([ids[row, :length], torch.tensor([row + 5])])[None]
        theirs = model(whole).logits[0, -2:]
        ours = torch.stack([first[row], second[row, 0]])
        assert torch.allclose(causal.head(model, ours), theirs, atol=1e-4)
        assert torch.allclose(causal.head(model, ours, slice(3, 9)), theirs[:, 3:9], atol=1e-4)


@torch.no_grad()
def test_half_precision_stays_near_the_librarys():
    model = random_model(CONFIGS["qwen3"]).bfloat16()
    ids, real = prompts()
    memory, _ = causal.read(model, ids, real)
    past, hidden = causal.append(model, memory, Past(), torch.full((3, 2), 4))
    assert hidden.dtype == past.layers[0][0].dtype == torch.bfloat16
    theirs = model(torch.cat([ids[2], torch.tensor([4])])[None]).logits[0, -1]
    assert torch.allclose(causal.head(model, hidden)[2, 0], theirs, atol=0.5, rtol=0.05)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MistralConfig(**SMALL, num_key_value_heads=2), "'mistral'; must be one of llama, qwen2, qwen3"),
        (
            Qwen2Config(**SMALL, num_key_value_heads=2, use_sliding_window=True, sliding_window=8, max_window_layers=1),
            "layers of sliding_attention",
        ),
    ],
)
def test_models_of_another_forward_pass_are_refused(config, message):
    ids, real = prompts()
    with pytest.raises(ConfigError, match=message):
        causal.read(random_model(config), ids, real)
