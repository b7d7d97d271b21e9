"""TIGER: a T5 encoder-decoder over semantic-id tokens, trained from scratch (Rajput et al. 2023).

Entry 0 of the vocabulary pads the prompt and starts the target, as T5 does; the tokens of the levels follow. A target
has as many tokens as there are levels, so nothing needs to say where it ends. B samples, T history tokens, L levels,
K beams, D width, V vocabulary entries.
"""

import json
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from unisid.backbones import BackboneConfig, Index, TokenBackbone, level_starts
from unisid.bounds import Layers, Positive, ShareBelowOne, Width
from unisid.config import identity_where
from unisid.decoding.past import Past
from unisid.decoding.t5 import Memory, decode, encode, remember
from unisid.language.hugging_face import HuggingFace

START = 0
FIRST_TOKEN = 1


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """TIGER's size; the defaults are the paper's."""

    width: Width = 128
    """Of the hidden vectors (d_model)."""
    num_heads: Layers = 6
    """Attention heads of a layer."""
    head_width: Width = 64
    """Of each head's queries, keys and values (d_kv); num_heads x head_width need not be the width."""
    feedforward_width: Width = 1024
    """Inner width of the feed-forward layers (d_ff)."""
    num_encoder_layers: Layers = 4
    """Layers that read the history."""
    num_decoder_layers: Layers = 4
    """Decoder layers, which predict the target."""
    dropout: ShareBelowOne = 0.1
    """Share of values that training zeroes, in attention weights and between layers."""
    temperature: Positive = field(default=1.0, metadata=identity_where(lambda config: config.temperature != 1))
    """Divides the logits in training's loss alone: LETTER's ranking-guided loss, which below 1 presses hardest on the
    likeliest wrong codes (Wang et al. 2024)."""

    def build(self, index: Index) -> "Tiger":
        return Tiger(self, index.sizes)


@dataclass(frozen=True)
class State:
    """A search under way."""

    memory: Memory
    past: Past


class Tiger(TokenBackbone):
    """The weights live in a transformers T5, whose own forward pass gives the same values more slowly."""

    def __init__(self, config: Config, sizes: tuple[int, ...]) -> None:
        from transformers import T5Config, T5ForConditionalGeneration  # slow: not where settings are only read

        super().__init__()
        self.level_starts = level_starts(sizes, FIRST_TOKEN)
        self.temperature = config.temperature
        self.t5 = T5ForConditionalGeneration(
            T5Config(
                vocab_size=FIRST_TOKEN + sum(sizes),
                d_model=config.width,
                d_kv=config.head_width,
                num_heads=config.num_heads,
                d_ff=config.feedforward_width,
                num_layers=config.num_encoder_layers,
                num_decoder_layers=config.num_decoder_layers,
                dropout_rate=config.dropout,
                pad_token_id=START,
                decoder_start_token_id=START,
                eos_token_id=None,
            )
        )

    def token_loss(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        return self.loss_after(self.memory_of(histories), targets)

    def loss_after(self, memory: Memory, targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        """`token_loss` after histories that were read."""
        return self.states_loss(self.target_states(memory, targets), targets)

    def token_log_probs(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        return self.log_probs_after(self.memory_of(histories), targets[:, None])[:, 0]

    def log_probs_of(
        self, histories: Int[Tensor, "B T"], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        memory = self.memory_of(index.tokens(histories).flatten(1))
        return self.log_probs_after(memory, index.tokens(items.clamp_min(0)))

    def summarised(
        self, memory: Memory, targets: Int[Tensor, "B L"], token: Float[Tensor, " D"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B D"]]:
        """`token_loss` after histories that were read, and the state of a further token behind the target's own."""
        entries = functional.pad(targets + FIRST_TOKEN, (1, 0), value=START)
        embedded = torch.cat([self.t5.shared(entries), token.expand(len(targets), 1, -1)], 1)
        hidden, _ = decode(self.t5.decoder, embedded[:, None], memory, Past())
        logits = self.logits(hidden[:, 0, :-2], slice(None)).float() / self.temperature
        loss = functional.cross_entropy(logits.flatten(0, 1), (targets + FIRST_TOKEN).flatten())
        return loss, hidden[:, 0, -1]

    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[State, Float[Tensor, "B 1 D"]]:
        return self.begin(self.memory_of(prompts))

    def step(
        self, state: State, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[State, Float[Tensor, "B K D"]]:
        return self._append(state.memory, state.past.follow(parents), tokens)

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        """Logits by the transposed embedding, its input scaled by D^-1/2, as T5 ties them."""
        weight = self.t5.shared.weight
        return functional.linear(hidden * weight.shape[1] ** -0.5, weight[entries])

    def embed(self, tokens: Int[Tensor, "*rows"]) -> Float[Tensor, "*rows D"]:
        """The embedding's rows of tokens; padding has one too."""
        found: Tensor = self.t5.shared(torch.where(tokens >= 0, tokens + FIRST_TOKEN, START))
        return found

    def read(
        self, embedded: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"]
    ) -> tuple[Memory, Float[Tensor, "B T D"]]:
        """A history that is embedded already: what the decoder sees of it, and the encoder's states."""
        encoded = encode(self.t5.encoder, embedded, real)
        return remember(self.t5.decoder, encoded, real), encoded

    def begin(self, memory: Memory) -> tuple[State, Float[Tensor, "B 1 D"]]:
        """The decoder's first state after a history that was read, as `start` gives it."""
        users = len(memory.bias)
        return self._append(memory, Past(), torch.full((users, 1), START, device=memory.bias.device))

    def target_states(self, memory: Memory, targets: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """The decoder's states that a target's tokens are drawn from, each after the ones before it."""
        shifted = functional.pad(targets[:, :-1] + FIRST_TOKEN, (1, 0), value=START)
        hidden, _ = decode(self.t5.decoder, self.t5.shared(shifted)[:, None], memory, Past())
        return hidden[:, 0]

    def states_loss(self, states: Float[Tensor, "B L D"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        """`token_loss`, from the states of the targets."""
        logits = self.logits(states, slice(None)).float() / self.temperature
        return functional.cross_entropy(logits.flatten(0, 1), (targets + FIRST_TOKEN).flatten())

    def logits_after(self, memory: Memory, targets: Int[Tensor, "B C L"]) -> Float[Tensor, "B C L V"]:
        """Logits of the tokens of C targets of each user, teacher-forced, after encoded histories."""
        shifted = functional.pad(targets[..., :-1] + FIRST_TOKEN, (1, 0), value=START)
        hidden, _ = decode(self.t5.decoder, self.t5.shared(shifted), memory, Past())
        found = self.logits(hidden.flatten(1, 2), slice(None)).float()
        return found.unflatten(1, targets.shape[1:])

    def log_probs_after(self, memory: Memory, targets: Int[Tensor, "B C L"]) -> Float[Tensor, "B C L"]:
        """`token_log_probs` of C targets of each user."""
        entries = (targets + FIRST_TOKEN)[..., None]
        return self.logits_after(memory, targets).log_softmax(-1).gather(-1, entries)[..., 0]

    def memory_of(self, histories: Int[Tensor, "B T"]) -> Memory:
        """Encode histories; returns the memory that the decoder attends to."""
        return self.read(self.embed(histories), histories >= 0)[0]

    def hugging_face(self) -> HuggingFace:
        config = {**self.t5.config.to_dict(), "architectures": ["T5ForConditionalGeneration"]}
        return HuggingFace(
            {"config.json": (json.dumps(config, indent=2, sort_keys=True, default=str) + "\n").encode()},
            {"shared.weight": self.t5.shared.weight}
            | {name: value for name, value in self.t5.state_dict().items() if value is not self.t5.shared.weight},
            self.level_starts,
            {"kind": "encoder-decoder", "pad": START, "decoder_start": START},
        )

    def _append(self, memory: Memory, past: Past, entries: Tensor) -> tuple[State, Tensor]:
        hidden, past = decode(self.t5.decoder, self.t5.shared(entries)[:, :, None], memory, past)
        return State(memory, past), hidden[:, :, 0]
