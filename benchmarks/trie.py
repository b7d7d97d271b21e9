"""The trie step alone, beside the CPU path of the PyPI package rectokens, at 10^4 to 10^7 items.

python -m benchmarks.trie

A step: given the nodes of all beams and their logits over one level's codes, the allowed codes, their nodes and their
logits, forbidden ones at -inf. rectokens is driven as its own decoding does: dense masks for the first two levels, its
CSR and `vtnk_pytorch` below (its fused kernels need CUDA). Logits over one level's codes are its kindest case: it masks
all entries of the vocabulary, so its last step is timed again over those of a language model. Where it is dense, its
step gives the mask alone and leaves the nodes to be looked up after the choice; ours gives both. The answers of both
are compared first, node by node. Without the package, only our figures are given.
"""

import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unisid.decoding import trie

INDICES = {10**4: 256, 10**5: 256, 10**6: 256, 10**7: 1024}
"""Items, and the codes of each of the three levels."""
USERS, BEAMS = 16, 50
VOCABULARY = 49_920
"""Of SmolLM2 with 3 x 256 tokens added."""
SECONDS, RUNS = 0.3, 20
"""How long, and how often at least, each figure is repeated; the best one counts."""


@dataclass(frozen=True)
class Beams:
    """Rows at one level: the codes before it, the node they lead to, and their logits."""

    codes: Tensor
    nodes: Tensor
    logits: Tensor


def main() -> dict[str, Any]:
    """Milliseconds of a step at every level, and of building, of both."""
    torch.manual_seed(0)
    has_peer = importlib.util.find_spec("rectokens") is not None
    result: dict[str, Any] = {"users": USERS, "beams": BEAMS, "threads": torch.get_num_threads()}
    if not has_peer:
        result["not_installed"] = ["rectokens"]
    for items, size in INDICES.items():
        result[f"items_{items}"] = _measure(items, size, has_peer)
    return result


def _measure(items: int, size: int, has_peer: bool) -> dict[str, Any]:
    codes = _random_codes(items, size)
    begun = time.perf_counter()
    ours = trie.build(codes)
    figures: dict[str, Any] = {
        "codebooks": f"3 x {size}",
        "unisid_build_seconds": round(time.perf_counter() - begun, 2),
    }
    beams = [_beams(ours, codes, depth, size) for depth in range(3)]
    figures["unisid_step_ms"] = [_best_ms(lambda d=d: _ours(ours, d, beams[d])) for d in range(3)]
    if has_peer:
        figures |= _peer(ours, codes[ours.items], beams, size)
        total = {name: sum(figures[f"{name}_step_ms"]) for name in ("unisid", "rectokens")}
        figures["ratio"] = round(total["rectokens"] / total["unisid"], 1)
    return figures


def _peer(ours: trie.Trie, ordered: Tensor, beams: list[Beams], size: int) -> dict[str, Any]:
    from rectokens.schemas.compact_csr_trie import CompactCSRTrie

    begun = time.perf_counter()
    theirs = CompactCSRTrie.from_sorted_batch(ordered, size, dense_lookup_layers=2)
    built = time.perf_counter() - begun
    for depth in range(3):
        _assert_same(ours, theirs, depth, beams[depth])
    last = beams[2]
    wide = Beams(last.codes, last.nodes, torch.randn(len(last.nodes), VOCABULARY))
    return {
        "rectokens_build_seconds_of_sorted_codes": round(built, 2),
        "rectokens_step_ms": [_best_ms(lambda d=d: _theirs(theirs, d, beams[d])) for d in range(3)],
        "last_step_over_a_whole_vocabulary_ms": {
            "unisid": _best_ms(lambda: _ours(ours, 2, wide)),
            "rectokens": _best_ms(lambda: _theirs(theirs, 2, wide)),
        },
        "same_answers": True,
    }


def _random_codes(items: int, size: int) -> Tensor:
    drawn = torch.randint(size**3, (items * 5 // 4,)).unique()
    return torch.stack(torch.unravel_index(drawn[torch.randperm(len(drawn))[:items]], (size,) * 3), 1)


def _beams(built: trie.Trie, codes: Tensor, depth: int, size: int) -> Beams:
    """The prefixes of random items: a row a user before the first level, then one a beam."""
    rows = torch.randint(len(codes), (USERS * BEAMS if depth else USERS,))
    nodes = torch.zeros(len(rows), dtype=torch.long)
    if depth:
        nodes = torch.searchsorted(built.levels[depth - 1].first_leaf, built.leaves[rows], right=True) - 1
    return Beams(codes[rows, :depth], nodes, torch.randn(len(rows), size))


def _ours(built: trie.Trie, depth: int, beams: Beams) -> tuple[trie.Children, Tensor]:
    children = built.step(depth, beams.nodes)
    return children, children.by_code(beams.logits).masked_fill(~children.valid, -torch.inf)


def _theirs(built: Any, depth: int, beams: Beams) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Next nodes and codes, where the level is not dense, and the logits of all entries."""
    from rectokens.decoding.vntk import vtnk_pytorch

    if depth < len(built.dense_mask_by_layer):
        mask = built.dense_mask_by_layer[depth]
        mask = mask[beams.codes.unbind(-1)] if depth else mask.expand(len(beams.codes), -1)
        beams.logits[~mask] = -torch.inf  # in place, as its decoding does; the same however often
        return None, None, beams.logits
    return vtnk_pytorch(beams.logits, built.dense_states[beams.codes.unbind(-1)], built, depth)


def _assert_same(ours: trie.Trie, theirs: Any, depth: int, beams: Beams) -> None:
    children, logits = _ours(ours, depth, beams)
    nodes, codes, masked = _theirs(theirs, depth, Beams(beams.codes, beams.nodes, beams.logits.clone()))
    everything = torch.full_like(beams.logits, -torch.inf)
    rows = torch.arange(len(beams.nodes))[:, None].expand_as(children.codes)[children.valid]
    everything[rows, children.codes[children.valid]] = logits[children.valid]
    assert torch.equal(everything, masked), f"level {depth}: other codes are allowed"
    if nodes is not None and codes is not None:
        before = 1 + sum(len(level) for level in ours.levels[:depth])  # it numbers nodes through all levels
        assert torch.equal(nodes[nodes >= 0] - before, children.nodes[children.valid]), "other nodes follow"
        assert torch.equal(codes[nodes >= 0], children.codes[children.valid]), "other codes follow"


def _best_ms(run: Callable[[], Any]) -> float:
    run()
    taken: list[float] = []
    while sum(taken) < SECONDS or len(taken) < RUNS:
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return round(min(taken) * 1000, 3)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
