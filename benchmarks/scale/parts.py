"""Parts that must bear ten million items, each by itself on drawn inputs: codes, trie, graph product, nearest, decode.

Seconds are of the processor, one thread. N items, L levels, K codes a level, D width.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unisid.backbones import Index, tiger
from unisid.decoding import beam, trie
from unisid.ops.distinct import sorted_unique
from unisid.ops.nearest import Nearest
from unisid.ops.propagate import adjacency, mean_over_layers
from unisid.ops.residual import quantize

LEVELS, CODES, WIDTH = 3, 256, 32
ROWS = 1 << 16
"""Items at a time."""
QUERIES = 2048
"""Items whose neighbours are searched: the cost of an item is what is told."""
EDGES_PER_ITEM = 3
USERS, BEAMS, RUNS = 16, 50, 5
SMALL = tiger.Config(
    width=32, num_heads=2, head_width=16, feedforward_width=64, num_encoder_layers=1, num_decoder_layers=1
)
Figures = dict[str, Any]


def codes_of(items: int) -> Figures:
    """Nearest codewords of N vectors by residual quantization, from one chunk of vectors to the next."""
    random = torch.Generator().manual_seed(0)
    codebooks = torch.randn(LEVELS, CODES, WIDTH, generator=random)
    vectors = torch.randn(ROWS, WIDTH, generator=random)
    found = torch.empty(items, LEVELS, dtype=torch.int16)
    begun = time.process_time()
    for start in range(0, items, ROWS):
        rows = min(ROWS, items - start)
        found[start : start + rows] = quantize(vectors[:rows], codebooks).to(torch.int16)
    return {"seconds": time.process_time() - begun}


def trie_of(items: int) -> Figures:
    """Building the trie; a step of 16 users x 50 beams at each level."""
    torch.manual_seed(0)
    codes = drawn(items)
    begun = time.process_time()
    built = trie.build(codes)
    seconds = time.process_time() - begun
    steps = []
    for depth in range(LEVELS):
        above = len(built.levels[depth - 1]) if depth else 1
        nodes = torch.randint(above, (USERS * BEAMS if depth else USERS,))
        logits = torch.randn(len(nodes), CODES)
        steps.append(_best(lambda d=depth, n=nodes, x=logits: _step(built, d, n, x)))
    return {"seconds": seconds, "step_ms": [round(1000 * each, 3) for each in steps]}


def _step(built: trie.Trie, depth: int, nodes: Tensor, logits: Tensor) -> Tensor:
    children = built.step(depth, nodes)
    return logits.gather(1, children.codes).masked_fill(~children.valid, -torch.inf)


def graph_of(items: int) -> Figures:
    """Building the adjacency of three edges an item, and one propagation of two layers."""
    rng = np.random.default_rng(0)
    users = max(100, items // 20)
    user = rng.integers(0, users, EDGES_PER_ITEM * items)
    item = rng.integers(0, items, EDGES_PER_ITEM * items)
    begun = time.process_time()
    keys = sorted_unique(user * np.int64(items) + item)
    graph = adjacency((keys // items).astype(np.int32), (keys % items).astype(np.int32), users, items)
    built = time.process_time() - begun
    vectors = torch.randn(users + items, 16)
    with torch.no_grad():
        return {"seconds": _best(lambda: mean_over_layers(graph, vectors, 2), 1), "build_seconds": built}


def nearest_of(items: int) -> Figures:
    """Building the index of nearest vectors, and the search of all items, told from a part of them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1024, WIDTH), np.float32)
    vectors = centres[rng.integers(0, len(centres), items)]
    vectors += 0.5 * rng.standard_normal(vectors.shape, np.float32)
    begun = time.process_time()
    nearest = Nearest.build(vectors, 10, exact_limit=50_000)
    built = time.process_time() - begun
    queries = min(QUERIES, items)
    begun = time.process_time()
    nearest.neighbours(0, queries)
    searched = (time.process_time() - begun) / queries * items
    return {"seconds": built + searched, "build_seconds": built, "search_seconds": searched, "recall": nearest.recall}


def decode_of(items: int) -> Figures:
    """A beam search of 16 users by 50 beams over N items: seconds a batch of users."""
    torch.manual_seed(0)
    codes = drawn(items)
    begun = time.process_time()
    index = Index(codes, (CODES,) * LEVELS, trie.build(codes))
    built = time.process_time() - begun
    model = SMALL.build(index).eval()
    histories = (codes[torch.randint(items, (USERS, 10))] + torch.arange(LEVELS) * CODES).flatten(1)
    with torch.no_grad():
        seconds = _best(lambda: beam.search(model, histories, index.trie, k=10, beam=BEAMS))
    return {"seconds": seconds, "build_seconds": built}


def drawn(items: int) -> Tensor:
    """Unique codes [N, L], in random order, in as few bits as hold them."""
    taken = np.random.default_rng(1).choice(CODES**LEVELS, items, replace=False)
    return torch.from_numpy(np.stack(np.unravel_index(taken, (CODES,) * LEVELS), axis=1).astype(np.int32))


def _best(run: Callable[[], object], runs: int = RUNS) -> float:
    times = []
    for _ in range(runs):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


PARTS: dict[str, Callable[[int], Figures]] = {
    "part: codes": codes_of,
    "part: trie": trie_of,
    "part: graph product": graph_of,
    "part: nearest": nearest_of,
    "part: decode": decode_of,
}
"""By name; what each measures at a number of items."""
