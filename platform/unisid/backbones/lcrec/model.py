"""LC-Rec's model: a language model of the transformers library, prompted with histories in words.

The levels' tokens are entries after the language's own. A history is put into the first task's
prompt (`ops.prompts.Prompts.next`); what is too long loses its oldest items. B samples, T history tokens, S entries of
the longest prompt, L levels, K beams, D width, V vocabulary entries, N items, n prompts.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig

from unisid.backbones import NO_LOSS, PAD, Index, LanguageBackbone, Packed, level_starts
from unisid.decoding import causal
from unisid.decoding.causal import Memory
from unisid.decoding.past import Past
from unisid.errors import ArtifactError, ConfigError
from unisid.language import files as saved
from unisid.language import loading
from unisid.language import vocabulary as words
from unisid.language.chat import Frame
from unisid.language.hugging_face import HuggingFace
from unisid.language.loading import Language
from unisid.language.lora import Lora, inject, merged, unmerged
from unisid.ops.prompts import Prompts, clean
from unisid.ops.semantic_ids import tokens
from unisid.pretrained import Pretrained

TEXTS_AT_ONCE = 4096


@runtime_checkable
class Settings(Protocol):
    """The settings that the model reads; `lcrec.Config` says what each means."""

    @property
    def dtype(self) -> str: ...
    @property
    def rows(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def otherwise(self) -> str: ...
    @property
    def norm(self) -> str: ...
    @property
    def from_words(self) -> bool: ...
    @property
    def trained(self) -> str: ...
    @property
    def lora(self) -> Lora: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def gradient_checkpointing(self) -> bool: ...
    @property
    def attention(self) -> str: ...

    def language(self) -> Pretrained: ...


@dataclass(frozen=True)
class State:
    """A search under way."""

    memory: Memory
    past: Past


class LCRec(LanguageBackbone):
    """The weights live in a transformers model, whose own forward pass trains them; `causal_forward` decodes."""

    separator: Tensor
    before: Tensor
    after: Tensor

    def __init__(
        self,
        config: Settings,
        language: Language,
        frame: Frame,
        starts: tuple[int, ...],
        sizes: tuple[int, ...],
        asks: Prompts,
    ) -> None:
        super().__init__()
        self.config, self.level_starts, self.sizes = config, starts, sizes
        self.language, self.tokenizer, self.frame = language.model, language.tokenizer, frame
        self.opening, self.closing, self.ending = frame.opening, frame.closing, frame.ending
        self.max_tokens = config.max_tokens
        end = self.ending[0]
        self.language.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end)
        self.ask_with(asks)

    @classmethod
    def begin(cls, config: Settings, sizes: tuple[int, ...]) -> "LCRec":
        """The model of a pretrained language model, with first rows for the new tokens."""
        found = config.language()
        language = loading.load(found, getattr(torch, config.dtype), config.attention)
        held = language.model.get_input_embeddings().num_embeddings
        first = words.add(language.model, language.tokenizer, tokens(sizes), str(found))
        frame, starts = Frame.of(language.tokenizer, str(found)), level_starts(sizes, first)
        built = cls(config, language, frame, starts, sizes, Prompts())
        built.prepare(min(held - first, sum(sizes)))
        return built

    @classmethod
    def of_files(cls, config: Settings, sizes: tuple[int, ...], files: Mapping[str, bytes]) -> "LCRec":
        """The structure alone, of what `files` wrote."""
        language, frame, asks = saved.read(files, getattr(torch, config.dtype), config.attention)
        given = language.tokenizer.convert_tokens_to_ids(tokens(sizes))
        if given != list(range(given[0], len(language.tokenizer))):
            raise ArtifactError(
                f"model: its tokenizer has no tokens for semantic ids of level sizes {list(sizes)}; load it with the "
                "index it was trained on"
            )
        return cls(config, language, frame, level_starts(sizes, given[0]), sizes, asks)

    def prepare(self, padded: int = 0) -> None:
        """First rows for the new tokens, of which so many lay in the table before; what shall not learn is frozen."""
        first, config = self.level_starts[0], self.config
        with torch.no_grad():
            for old, new in words.rows(self.language, first):
                is_library = "library" in (config.rows, config.otherwise if config.from_words else "")
                new.copy_(words.as_library(old, new, padded) if is_library else words.draw(old, len(new)))
        if config.trained != "all":
            words.split(self.language, first)
        if config.trained == "lora":
            inject(self.language, config.lora)
            for _, new in words.rows(self.language, first):
                new.requires_grad_(True)
        if config.gradient_checkpointing:
            self.language.activation_checkpointing_enable({"use_reentrant": False})

    def ask_with(self, prompts: Prompts) -> None:
        self.asks = prompts
        head, tail, separator = self.encode(prompts.next)
        for name, entries in (
            ("separator", separator),
            ("before", self.opening + head),
            ("after", tail + self.closing),
        ):
            device = self.language.device
            self.register_buffer(name, torch.tensor(entries, dtype=torch.long, device=device), persistent=False)
        self.room = self._room()

    @torch.no_grad()
    def start_from(self, codes: NDArray[Any], texts: Sequence[str]) -> None:
        if self.config.rows == "item_text":
            offsets = torch.tensor(self.level_starts, dtype=torch.int32) - self.level_starts[0]
            stands_for = (torch.from_numpy(codes.astype(np.int32)) + offsets)[:, : self.config.depth or None]
            for old, new in words.rows(self.language, self.level_starts[0]):
                self._take(old, new, words.mean_of_texts(old, new, self._titles(texts), stands_for))

    @torch.no_grad()
    def start_from_keywords(self, levels: NDArray[Any], codes: NDArray[Any], keywords: Sequence[Sequence[str]]) -> None:
        if self.config.rows != "keywords":
            return
        number = self.config.depth or len(self.sizes)
        chosen = [n for n, (level, own) in enumerate(zip(levels, keywords, strict=True)) if level < number and own]
        starts = np.array(self.level_starts) - self.level_starts[0]
        stands_for = torch.from_numpy((starts[levels[chosen]] + codes[chosen]).astype(np.int32))[:, None]
        # Each keyword as it stands inside a text, without separators, which would pull all rows together.
        entries = [list(itertools.chain(*self.encode([f" {word}" for word in keywords[n]]))) for n in chosen]
        for old, new in words.rows(self.language, self.level_starts[0]):
            self._take(old, new, words.mean_of_texts(old, new, entries, stands_for))

    def _take(self, old: Tensor, new: Tensor, found: Tensor) -> None:
        """Make rows that were found for some tokens the new tokens' own."""
        new.copy_(words.as_long(old, new, found) if self.config.norm == "match" else found)

    @torch.no_grad()
    def new_rows(self) -> Float[Tensor, "M D"]:
        return words.rows(self.language, self.level_starts[0])[0][1].float().cpu().clone()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        # What a text holds of the tokenizer's special tokens is treated as text.
        options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        return self.tokenizer(list(texts), **options)["input_ids"] if texts else []

    def loss_of(self, packed: Packed) -> Float[Tensor, ""]:
        ids, positions, labels = packed.ids, packed.positions, packed.labels
        if self.config.attention.startswith("flash"):  # its kernel separates packed samples in one row only
            ids, positions, labels = (part.reshape(1, -1) for part in (ids, positions, labels))
        hidden = self.language.model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
        learned = labels[:, 1:] != NO_LOSS
        logits = self.language.lm_head(hidden[:, :-1][learned]).float() / self.config.temperature
        return functional.cross_entropy(logits, labels[:, 1:][learned], reduction="sum")

    def token_loss(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        return self.loss_of(self._responses(histories, targets)) / targets.numel()

    def token_log_probs(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        packed = self._responses(histories, targets)
        hidden = self.language.model(input_ids=packed.ids, position_ids=packed.positions, use_cache=False)
        learned = packed.labels[:, 1:] != NO_LOSS
        logits = self.language.lm_head(hidden.last_hidden_state[:, :-1][learned]).float()
        found = logits.log_softmax(-1).gather(-1, packed.labels[:, 1:][learned][:, None])
        return found.view(targets.shape)

    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[State, Float[Tensor, "B 1 D"]]:
        return self._read(*self.prompts(prompts))

    def start_words(self, prompts: Int[Tensor, "B S"]) -> tuple[State, Float[Tensor, "B 1 D"]]:
        return self._read(prompts.clamp_min(0), prompts != PAD)

    def step(
        self, state: State, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[State, Float[Tensor, "B K D"]]:
        past, hidden = causal.append(self.language, state.memory, state.past.follow(parents), tokens)
        return State(state.memory, past), hidden

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        return causal.head(self.language, hidden, entries)

    @torch.no_grad()
    def answer(self, prompts: Sequence[Sequence[int]], limit: int, beams: int = 1) -> list[str]:
        longest = max(len(prompt) for prompt in prompts)
        device, end = self.before.device, self.ending[0]
        ids = torch.tensor([[end] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
        real = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
        new = range(self.level_starts[0], self.level_starts[0] + sum(self.sizes))
        generated = self.language.generate(
            input_ids=ids,
            attention_mask=real,
            do_sample=False,
            max_new_tokens=limit,
            use_cache=True,
            suppress_tokens=list(new),
            **({"num_beams": beams, "length_penalty": 0.0} if beams > 1 else {}),
        )
        texts: list[str] = self.tokenizer.batch_decode(generated[:, longest:], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def weights(self) -> dict[str, Tensor]:
        found = self.language.state_dict()
        if self.config.trained == "lora":
            found = merged(found, self.config.lora)
        found = words.joined(found)
        if words.is_tied(self.language):
            del found["lm_head.weight"]
        return found

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        tied = {"lm_head.weight": weights["model.embed_tokens.weight"]} if words.is_tied(self.language) else {}
        held = self.language.state_dict()
        self.language.load_state_dict(unmerged(words.parted({**weights, **tied}, held), held))

    def files(self) -> dict[str, bytes]:
        return saved.files(self.language, self.tokenizer, self.frame, self.asks)

    def hugging_face(self) -> HuggingFace:
        prompting = {"kind": "decoder", "room": self.room, "end": self.ending[0]}
        prompting |= {name: getattr(self, name).tolist() for name in ("before", "separator", "after")}
        return HuggingFace(self.files(), self.weights(), self.level_starts, prompting)

    def prompts(self, histories: Int[Tensor, "B T"]) -> tuple[Int[Tensor, "B S"], Bool[Tensor, "B S"]]:
        """Histories in the words of the first task, padded on the right; which entries are real.

        Example, two levels, room for two items, before = [b], separator = [s], after = [a, a]: a history of three
        items (p, q, r) keeps q and r, `body` is q0 q1 s r0 r1 s, and `end` = 1 + 2 * 3 - 1 = 6 is where the items end:
            place  0  1  2  3  4  5  6  7
            id     b  q0 q1 s  r0 r1 a  a        A history of one item r: b r0 r1 a a, then padding.
        """
        levels = len(self.sizes)
        histories = functional.pad(histories, (0, -histories.shape[1] % levels), value=PAD)
        held = histories.shape[1] // levels
        items = histories.clamp_min(0).unflatten(1, (held, levels)) + self.level_starts[0]
        number = (histories >= 0).sum(1, keepdim=True) // levels
        kept = number.clamp_max(self.room)
        widest = min(held, self.room)
        slots = (number - kept + torch.arange(widest, device=items.device)).clamp_max(held - 1)
        items = items.gather(1, slots[..., None].expand(-1, -1, levels))
        body = torch.cat([items, self.separator.expand(len(items), widest, -1)], 2)
        stride, opened, closed = body.shape[2], len(self.before), len(self.after)
        places = torch.arange(opened + widest * stride - len(self.separator) + closed, device=items.device)
        end = opened + kept * stride - len(self.separator)  # of each prompt's items
        inside = body.flatten(1).gather(1, (places - opened).clamp(0, widest * stride - 1).expand(len(items), -1))
        ids = torch.where(places < end, inside, self.after[(places - end).clamp(0, closed - 1)])
        ids = torch.where(places < opened, self.before[places.clamp_max(opened - 1)], ids)
        return ids, places < end + closed

    def _responses(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Packed:
        """Prompts with the targets after them, a sample a row; the targets alone are learned."""
        ids, real = self.prompts(histories)
        entries = targets + self.level_starts[0]
        places = real.sum(1, keepdim=True) + torch.arange(targets.shape[1], device=ids.device)
        ids = functional.pad(ids, (0, targets.shape[1])).scatter(1, places, entries)
        labels = torch.full_like(ids, NO_LOSS).scatter(1, places, entries)
        positions = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        return Packed(ids, positions, labels)

    def _read(self, ids: Int[Tensor, "B S"], real: Bool[Tensor, "B S"]) -> tuple[State, Float[Tensor, "B 1 D"]]:
        memory, hidden = causal.read(self.language, ids, real)
        return State(memory, Past()), hidden[:, None]

    def _titles(self, texts: Sequence[str]) -> Iterator[list[int]]:
        cleaned = map(clean, texts)
        while some := list(itertools.islice(cleaned, TEXTS_AT_ONCE)):
            yield from self.encode(some)

    def _room(self) -> int:
        """Items that a prompt can hold."""
        context = self.language.config.max_position_embeddings
        if self.max_tokens > context:
            raise ConfigError(f"lcrec: max_tokens {self.max_tokens}, but the language model reads at most {context}")
        item = len(self.sizes) + len(self.separator)
        around = len(self.before) + len(self.after) - len(self.separator) + len(self.sizes) + len(self.ending)
        if (room := (self.max_tokens - around) // item) < 1:
            raise ConfigError(
                f"lcrec: max_tokens {self.max_tokens} leaves no room for an item; must be at least {around + item}"
            )
        return room
