"""TIGER's constrained beam search beside the usual public way: `generate` with a Python trie asked row by row.

python -m benchmarks.decode

Both hold the same weights and index, search with the same beams and score alike: log-softmax over the whole
vocabulary, forbidden tokens masked afterwards. The benchmark first checks that they give the same items.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unisid.backbones import Index
from unisid.backbones.tiger import FIRST_TOKEN, START, Config, Tiger
from unisid.decoding import beam, trie

ITEMS, SIZES = 12_000, (256, 256, 256)
HISTORY = 20
USERS = 16
CHECKED = 10
"""Items compared for every user."""
ROUNDS = 3


def main() -> dict[str, Any]:
    """Users a second of both at 20 and 50 beams, and their ratio."""
    torch.manual_seed(0)
    codes = random_index()
    index = Index.of(codes.numpy(), SIZES)
    tiger, built = Config().build(index).eval(), index.trie
    offsets = torch.tensor(tiger.level_starts) - FIRST_TOKEN
    histories = (codes[torch.randint(ITEMS, (USERS, HISTORY))] + offsets).flatten(1)
    entries = codes + torch.tensor(tiger.level_starts)
    prefixes = prefix_table(entries)
    item_of = {tuple(row): item for item, row in enumerate(entries.tolist())}
    result: dict[str, Any] = {"items": ITEMS, "users": USERS, "threads": torch.get_num_threads()}
    for width in (20, 50):
        ours = _ours(tiger, histories, built, width)
        theirs = _generate(tiger, histories, prefixes, width)
        agreement = same_items(ours(), theirs(), item_of)
        fast, slow = _seconds(ours, theirs)
        result[f"beam_{width}"] = {
            "unisid_users_per_second": round(USERS / fast, 2),
            "generate_users_per_second": round(USERS / slow, 2),
            "ratio": round(slow / fast, 1),
            "same_items": agreement,
        }
    return result


def random_index() -> Tensor:
    """Random unique codes whose prefixes are shared, as a tokenizer's are."""
    chosen = torch.randperm(256 * 24 * 8)[:ITEMS]
    first, second, third = torch.unravel_index(chosen, (256, 24, 8))
    spread = torch.stack([torch.randperm(256) for _ in range(256)])
    second = spread[first, second]
    return torch.stack([first, second, spread[second, third]], 1)


def prefix_table(entries: Tensor) -> dict[tuple[int, ...], list[int]]:
    """The public way's trie: what may follow each prefix, in entries of the vocabulary."""
    table: dict[tuple[int, ...], set[int]] = {}
    for row in entries.tolist():
        for level in range(len(row)):
            table.setdefault(tuple(row[:level]), set()).add(row[level])
    return {prefix: sorted(after) for prefix, after in table.items()}


def _ours(tiger: Tiger, histories: Tensor, built: trie.Trie, width: int) -> Callable[[], beam.Ranked]:
    def run() -> beam.Ranked:
        with torch.no_grad():
            return beam.search(tiger, histories, built, k=width, beam=width)

    return run


def _generate(
    tiger: Tiger, histories: Tensor, prefixes: dict[tuple[int, ...], list[int]], width: int
) -> Callable[[], Any]:
    def allowed(row: int, tokens: Tensor) -> list[int]:
        return prefixes[tuple(tokens.tolist()[1:])]

    def run() -> Any:
        with torch.no_grad():
            return tiger.t5.generate(
                input_ids=histories + FIRST_TOKEN,
                attention_mask=torch.ones_like(histories),
                num_beams=width,
                num_return_sequences=width,
                max_new_tokens=len(SIZES),
                min_new_tokens=len(SIZES),
                do_sample=False,
                length_penalty=0.0,
                early_stopping=True,
                decoder_start_token_id=START,
                pad_token_id=START,
                prefix_allowed_tokens_fn=allowed,
                output_scores=True,
                return_dict_in_generate=True,
            )

    return run


def same_items(ours: beam.Ranked, theirs: Any, item_of: dict[tuple[int, ...], int], tolerance: float = 1e-4) -> bool:
    """Whether both give the same items; where two scores are one to rounding, either order is right."""
    users = len(ours.items)
    sequences = theirs.sequences[:, -len(SIZES) :].view(users, -1, len(SIZES)).tolist()
    scores = theirs.sequences_scores.view(users, -1)
    assert torch.allclose(ours.scores[:, :CHECKED], scores[:, :CHECKED], atol=tolerance), "the scores differ"
    for user in range(users):
        listed = [item_of[tuple(sequence)] for sequence in sequences[user]]
        for place, item in enumerate(ours.items[user, :CHECKED].tolist()):
            there = listed.index(item)
            assert abs(float(scores[user, there] - scores[user, place])) < tolerance, f"user {user}: the items differ"
    return True


def _seconds(*runs: Callable[[], Any]) -> list[float]:
    """The best time of each, taken in turns."""
    best = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for number, run in enumerate(runs):
            begun = time.perf_counter()
            run()
            best[number] = min(best[number], time.perf_counter() - begun)
    return best


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
