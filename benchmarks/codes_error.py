"""Time to equal error: residual k-means and RQ-VAE beside FAISS's residual quantizer, of the same codes.

Three levels of 256 codes over clusters in clusters. Each way gives points (seconds of fitting, error), by more rounds
or more epochs; the error is the mean squared difference of what is read back from the codes of vectors that were not
fitted to, in standardised space, where 1 is to say nothing. Residual k-means stands there twice: in all dimensions at
once, and in growing numbers of them (`dimension_steps`), as the peer does. The peer is FAISS's own quantizer, one path
as ours and with its beam of five. At the peer's least error: the seconds in which ours came as near; None where it
never did. Validation is not timed. One thread, whose own time counts, so that other work does not.

python -m benchmarks.codes_error
"""

import json
import time
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor

from benchmarks._edges import ALONE
from unisid.tokenizers import Batch, LearnedTokenizer, Tokenizer, rqkmeans, rqvae

FITTED, HELD_OUT, WIDTH, BATCH = 16_384, 4_096, 64, 1_024
LEVELS, CODES = 3, 256
ROUNDS = (1, 2, 5, 10, 25)
"""Of k-means, a level."""
STEPS = 10
"""Numbers of dimensions, as in FAISS."""
SECONDS = 30.0
"""Of RQ-VAE."""
BEAM = 5
Point = tuple[float, float]
"""Seconds and error."""


def main(seconds: float = SECONDS, fitted: int = FITTED, held_out: int = HELD_OUT) -> dict[str, Any]:
    """All points, and how ours compare with each of the peer's."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rows, others = clusters(fitted + held_out).split([fitted, held_out])
    ours = {"residual_kmeans": residual_kmeans(rows, others, 1)}
    ours["residual_kmeans_by_dimensions"] = residual_kmeans(rows, others, STEPS)
    ours["rqvae"] = rqvae_curve(rows, others, seconds)
    peers = {"faiss": faiss_points(rows, others, 1), f"faiss_beam_{BEAM}": faiss_points(rows, others, BEAM)}
    found: dict[str, Any] = {"fitted": fitted, "held_out": held_out, "width": WIDTH, "codes": f"{LEVELS} x {CODES}"}
    found |= {name: _rounded(points) for name, points in (ours | peers).items()}
    for name, points in ours.items():
        found[f"{name}_at_equal_error"] = {peer: at_equal_error(points, theirs) for peer, theirs in peers.items()}
    return found


def clusters(count: int) -> Tensor:
    """Clusters in clusters, standardised."""
    random = np.random.default_rng(0)
    coarse, fine = random.normal(size=(256, WIDTH)), 0.5 * random.normal(size=(4096, WIDTH))
    noise = 0.25 * random.normal(size=(count, WIDTH))
    found = torch.from_numpy(coarse[random.integers(0, 256, count)] + fine[random.integers(0, 4096, count)] + noise)
    return ((found - found.mean(0)) / found.std(0)).float()


def residual_kmeans(rows: Tensor, others: Tensor, steps: int) -> list[Point]:
    """A point for each number of rounds, in so many numbers of dimensions."""
    points = []
    for rounds in ROUNDS:
        config = rqkmeans.Config(
            num_levels=LEVELS, codebook_size=CODES, restarts=1, iterations=rounds, dimension_steps=steps
        )
        tokenizer = config.build(WIDTH)
        begun = time.process_time()
        tokenizer.start(rows, 0)
        points.append((time.process_time() - begun, error(tokenizer, others)))
    return points


def rqvae_curve(rows: Tensor, others: Tensor, seconds: float) -> list[Point]:
    """A point an epoch, one at least, until the seconds are spent."""
    torch.manual_seed(0)
    tokenizer = rqvae.Config(num_levels=LEVELS, codebook_size=CODES, widths=(256, 128, 64)).build(WIDTH)
    begun = time.process_time()
    tokenizer.start(rows, 0)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=1e-3, fused=True)
    spent, points = time.process_time() - begun, list[Point]()
    while spent < seconds or not points:
        spent += epoch(tokenizer, rows, optimizer)
        points.append((spent, error(tokenizer, others)))
    return points


def epoch(tokenizer: LearnedTokenizer, rows: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Learn from all rows once; returns the seconds."""
    begun = time.process_time()
    tokenizer.train()
    for places in torch.randperm(len(rows)).split(BATCH):
        loss, _ = tokenizer.loss(Batch(rows[places]), ALONE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tokenizer.eval()
    return time.process_time() - begun


def faiss_points(rows: Tensor, others: Tensor, beam: int) -> list[Point]:
    """A point for each number of rounds of FAISS's quantizer."""
    points = []
    for rounds in ROUNDS:
        quantizer = faiss.ResidualQuantizer(WIDTH, LEVELS, CODES.bit_length() - 1)
        quantizer.max_beam_size = beam
        quantizer.cp.niter = rounds
        begun = time.process_time()
        quantizer.train(rows.numpy())
        seconds = time.process_time() - begun
        read = quantizer.decode(quantizer.compute_codes(others.numpy()))
        points.append((seconds, float(np.square(read - others.numpy()).mean())))
    return points


def error(tokenizer: Tokenizer, rows: Tensor) -> float:
    """The mean squared difference of what is read back from the codes of rows."""
    with torch.no_grad():
        return float((tokenizer.decode(tokenizer.encode(rows)) - rows).square().mean())


def at_equal_error(ours: list[Point], theirs: list[Point]) -> dict[str, Any]:
    """The peer's point of least error, our first seconds with no more, and how many times faster that is."""
    peer_seconds, least = min(theirs, key=lambda point: point[1])
    reached = min((seconds for seconds, found in ours if found <= least), default=None)
    found = {"error": round(least, 4), "peer_seconds": round(peer_seconds, 2)}
    if reached is None:
        return found | {"seconds": None, "least_error": round(min(found for _, found in ours), 4)}
    return found | {"seconds": round(reached, 2), "ratio": round(peer_seconds / reached, 2)}


def _rounded(points: list[Point]) -> list[list[float]]:
    shown = points if len(points) <= 8 else [points[int(n)] for n in np.linspace(0, len(points) - 1, 8)]
    return [[round(seconds, 2), round(found, 4)] for seconds, found in shown]


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
