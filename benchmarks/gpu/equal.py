"""The device gives what the CPU gives, on small inputs: losses, gradients, codes and answers.

Each check returns how far the two are apart; TF32 is off, so that float32 means float32 on both. In bfloat16 a loss may
be off by what eight bits of mantissa round away.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.decode_llm import Language
from benchmarks.gpu import shapes
from unisid.backbones import Batch, Index, hierarchical, level_starts, tiger
from unisid.decoding import beam
from unisid.fusion import Items, uqf
from unisid.ops.propagate import adjacency, mean_over_layers
from unisid.stages.fused.reading import Known, Rows
from unisid.tokenizers import rqvae

FLOAT32, BFLOAT16 = 2e-4, 3e-2
"""Largest relative differences."""
SIZES = (8, 8, 8)


def check_all(device: torch.device) -> dict[str, Any]:
    """Check -> the difference and whether it is small enough; or the error of one that breaks."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return {name: _checked(check, limit, device) for name, (check, limit) in CHECKS.items()}


def _checked(check: Callable[[torch.device], float], limit: float, device: torch.device) -> dict[str, Any]:
    torch.manual_seed(0)
    try:
        apart = check(device)
    except Exception as error:  # whatever it is, the other checks are worth having
        return {"error": f"{type(error).__name__}: {error}"[:500], "equal": False}
    return {"difference": float(f"{apart:.3g}"), "limit": limit, "equal": bool(apart <= limit)}


def propagation(device: torch.device) -> float:
    """LightGCN's mean over layers, and its gradient."""
    user, item = _edges(200, 100, 900)
    graph = adjacency(user, item, 200, 100)
    start, weight = torch.randn(300, 16), torch.randn(300, 16)

    def run(on: torch.device) -> list[Tensor]:
        vectors = start.to(on).requires_grad_()
        out = mean_over_layers(graph.to(on), vectors, 3)
        (out * weight.to(on)).sum().backward()
        return [out, _gradient(vectors)]

    return _apart(run, device)


def fusion(device: torch.device) -> float:
    """UQF's vectors of texts of different lengths, and its gradients."""
    model = uqf.Config(width=32, output_width=32, num_heads=4, num_layers=2, num_queries=4, dropout=0.0).build(
        {"text": 24, "graph": 16}
    )
    return _module(model, lambda module, on: module(_items(on)).square().mean(), device)


def tokenizer(device: torch.device) -> float:
    """The share of items whose RQ-VAE codes differ, once both have the same weights."""
    vectors = torch.randn(500, 32)
    model = rqvae.Config(codebook_size=16, widths=(32, 16)).build(32)
    model.start(vectors, 0)
    with torch.no_grad():
        here = model.encode(vectors)
        there = model.to(device).encode(vectors.to(device)).cpu()
    model.cpu()
    return float((here != there).any(1).float().mean())


def over_items(device: torch.device) -> float:
    """The recommender over items with both heads: training's loss and gradients."""
    model, histories, targets, index = _hierarchical()

    def loss(module: Any, on: torch.device) -> Tensor:
        found: Tensor = module.loss(Batch(histories, targets).to(on), index.to(on))
        return found

    return _module(model, loss, device)


def over_items_answers(device: torch.device) -> float:
    """The share of its answers that differ."""
    model, histories, _, index = _hierarchical()
    return _answers(lambda on: model.to(on).eval().search(histories.to(on), index.to(on), k=10, beam=20), device)


def beam_t5(device: torch.device) -> float:
    """The share of TIGER's answers that differ."""
    index = _index(200)
    model = tiger.Config(width=32, num_heads=2, head_width=16, feedforward_width=64).build(index).eval()
    histories = torch.randint(200, (6, 5))
    return _answers(lambda on: model.to(on).search(histories.to(on), index.to(on), k=10, beam=20), device)


def beam_language(device: torch.device) -> float:
    """The share of a Qwen2-shaped model's answers that differ."""
    index = _index(200)
    model = shapes.language("tiny", torch.device("cpu"), torch.float32, added=sum(SIZES)).eval()
    starts = level_starts(SIZES, model.config.vocab_size - sum(SIZES))
    prompts = torch.randint(model.config.vocab_size, (4, 30))

    def search(on: torch.device) -> beam.Ranked:
        return beam.search(Language(model.to(on), starts), prompts.to(on), index.to(on).trie, k=10, beam=20)

    return _answers(search, device)


def half_precision(device: torch.device) -> float:
    """UQF's loss in bfloat16 beside float32, both on the device."""
    model = uqf.Config(width=64, output_width=64, num_heads=4, num_layers=2, num_queries=4, dropout=0.0).build(
        {"text": 24, "graph": 16}
    )
    model.to(device)
    with torch.no_grad():
        whole = model(_items(device)).square().mean()
        with torch.autocast(device.type, torch.bfloat16):
            half = model(_items(device)).float().square().mean()
    return float((half - whole).abs() / whole.abs())


CHECKS: dict[str, tuple[Callable[[torch.device], float], float]] = {
    "propagation": (propagation, FLOAT32),
    "uqf": (fusion, FLOAT32),
    "rqvae_codes": (tokenizer, 0.004),
    "hierarchical_loss": (over_items, FLOAT32),
    "hierarchical_answers": (over_items_answers, 0.02),
    "beam_t5": (beam_t5, 0.02),
    "beam_qwen2": (beam_language, 0.02),
    "uqf_bfloat16": (half_precision, BFLOAT16),
}
"""Name -> check and the largest difference; of codes and answers the share that may differ, where two are as near."""


def _apart(run: Callable[[torch.device], list[Tensor]], device: torch.device) -> float:
    """The largest difference of what both give, over the size of what the CPU gives."""
    here, there = run(torch.device("cpu")), run(device)
    return max(
        float((a - b.cpu()).abs().max() / a.abs().max().clamp_min(1e-12))
        for a, b in zip((x.detach() for x in here), (x.detach() for x in there), strict=True)
    )


def _module(model: Any, loss: Callable[[Any, torch.device], Tensor], device: torch.device) -> float:
    """As `_apart`, of a loss and the gradients of a module's parameters."""

    def run(on: torch.device) -> list[Tensor]:
        model.to(on).zero_grad()
        value = loss(model, on)
        value.backward()
        return [value, *(p.grad.clone() for p in model.parameters() if p.grad is not None and p.grad.any())]

    return _apart(run, device)


def _answers(search: Callable[[torch.device], beam.Ranked], device: torch.device) -> float:
    with torch.no_grad():
        here, there = search(torch.device("cpu")).items, search(device).items.cpu()
    return float((here != there).float().mean())


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _edges(users: int, items: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs; every user and every item has one."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, users * items, count)
    every = np.arange(max(users, items))
    keys = np.unique(np.concatenate([drawn, every % users * items + every % items]))
    return (keys // items).astype(np.int32), (keys % items).astype(np.int32)


def _index(items: int) -> Index:
    chosen = np.random.default_rng(0).permutation(np.prod(SIZES))[:items]
    return Index.of(np.stack(np.unravel_index(chosen, SIZES), 1), SIZES)


def _items(on: torch.device) -> Items:
    """Four items of different lengths, each with three graph layers."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([3, 1, 5, 2])
    tokens = torch.randn(int(lengths.sum()), 24, generator=generator)
    layers = torch.randn(4 * 3, 16, generator=generator)
    rows = {"text": Rows(tokens, lengths), "graph": Rows(layers, torch.full((4,), 3), each=3)}
    return Known(rows, torch.arange(4)).view(np.arange(4), np.zeros(4, np.int64))[0].to(on)


def _hierarchical() -> tuple[Any, Tensor, Tensor, Index]:
    index = _index(200)
    config = hierarchical.Config(width=32, num_heads=2, num_layers=2, dense=True, memory=None)
    return config.build(index).eval(), torch.randint(200, (6, 8)), torch.randint(200, (6, 8)), index
