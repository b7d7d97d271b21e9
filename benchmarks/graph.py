"""LightGCN to the same validation recall: CSR blocks and large batches beside the usual way.

The usual way: the square adjacency as COO, `torch.sparse.mm` through every layer for each batch of 2,048 edges, Adam
at 1e-3. Both learn from the same edges with the same loss, draw negatives by the same code and are validated alike;
validation is not timed. A second peer row takes the usual way at our learning rate, to tell tuning from speed.

python -m benchmarks.graph
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks._edges import ALONE
from unisid.graphs import lightgcn
from unisid.ops.bpr import Unknown, bpr
from unisid.ops.propagate import adjacency
from unisid.stages import graph as stage
from unisid.stages.graph.edges import Edges
from unisid.stages.graph.validation import validate

BEAUTY = Path(__file__).parents[2] / "shared" / "data" / "amazon-beauty-2014" / "interactions.parquet"
USERS, ITEMS, EDGES = 22_363, 12_101, 153_776
MODEL = lightgcn.Config(num_layers=3, width=64)
OURS = stage.Config(graph=MODEL, batch_edges=16_384, learning_rate=3e-2)
USUAL = stage.Config(graph=MODEL, batch_edges=2_048, learning_rate=1e-3)
Point = dict[str, float]


def beauty() -> tuple[str, list[Any]]:
    """Training and validation pairs, leave-one-out."""
    table = pq.read_table(BEAUTY)
    user = np.unique(table["user_id"].to_numpy(), return_inverse=True)[1]
    item = np.unique(table["item_id"].to_numpy(), return_inverse=True)[1]
    last = np.zeros(user.max() + 1, np.int64)
    np.maximum.at(last, user, table["position"].to_numpy())
    left = last[user] - table["position"].to_numpy()
    return "amazon-beauty-2014", [user[left > 1], item[left > 1], user[left == 1], item[left == 1]]


def synthetic() -> tuple[str, list[Any]]:
    """Pairs of Beauty's size: users with a taste for one of 300 groups of items, some items far more popular."""
    rng = np.random.default_rng(0)
    user = np.concatenate([rng.integers(0, USERS, EDGES), np.arange(USERS)])
    rank = (rng.random(len(user)) ** 2 * ITEMS).astype(np.int64)
    taste = rng.integers(0, 300, USERS)[user]
    item = np.where(rng.random(len(user)) < 0.7, rank // 300 * 300 + taste, rank) % ITEMS
    return "synthetic", [user[:EDGES], item[:EDGES], user[EDGES:], item[EDGES:]]


def edges_of(user: Any, item: Any, valid_user: Any, valid_item: Any) -> Edges:
    """What the stage would make of these pairs; 5,000 validation targets."""
    keys = np.unique(user * ITEMS + item)
    user, item = (keys // ITEMS).astype(np.int32), (keys % ITEMS).astype(np.int32)
    new = np.flatnonzero(np.isin(valid_user, user) & ~np.isin(valid_user * ITEMS + valid_item, keys))
    chosen = np.random.default_rng(0).permutation(new)[:5_000]
    users, items = torch.from_numpy(user), torch.from_numpy(item)
    return Edges(
        graph=adjacency(user, item, USERS, ITEMS),
        weight=None,
        unknown=Unknown.of(users, items, USERS, ITEMS),
        user=users,
        item=items,
        learnable=torch.arange(len(users)),
        valid_user=torch.from_numpy(valid_user[chosen]),
        valid_item=torch.from_numpy(valid_item[chosen]),
        user_degree=np.bincount(user, minlength=USERS).astype(np.int32),
        item_degree=np.bincount(item, minlength=ITEMS).astype(np.int32),
    )


def coo(edges: Edges) -> Tensor:
    """The square normalised adjacency."""
    user, item = edges.user.long(), edges.item.long()
    weight = (torch.bincount(user)[user] * torch.bincount(item)[item]).double().rsqrt().float()
    ends = torch.stack([torch.cat([user, item + USERS]), torch.cat([item + USERS, user])])
    return torch.sparse_coo_tensor(ends, weight.repeat(2), (USERS + ITEMS,) * 2).coalesce()


def usual_propagation(matrix: Tensor, vectors: Tensor) -> Tensor:
    layers = [vectors]
    for _ in range(MODEL.num_layers):
        layers.append(torch.sparse.mm(matrix, layers[-1]))
    return torch.stack(layers, 1).mean(1)


def usual_epoch(
    config: stage.Config,
    matrix: Tensor,
    edges: Edges,
    vectors: Tensor,
    optimizer: torch.optim.Optimizer,
    epoch: int,
) -> None:
    for users, known, unknown in edges.batches(config, epoch):
        final = usual_propagation(matrix, vectors)
        rows = (users, known + USERS, unknown + USERS)
        left, right, wrong = (final[nodes] for nodes in rows)
        length = sum(vectors[nodes].square().sum() for nodes in rows) / (2 * len(users))
        loss = bpr((left * right).sum(1), (left * wrong).sum(1)) + MODEL.penalty * length
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def curve(model: lightgcn.LightGCN, edges: Edges, seconds: float, epoch: Callable[[int], object]) -> list[Point]:
    """(seconds, recall) after every epoch, until the seconds are spent."""
    points: list[Point] = []
    spent = 0.0
    while spent < seconds:
        begun = time.perf_counter()
        epoch(len(points))
        spent += time.perf_counter() - begun
        points.append({"seconds": round(spent, 2), "recall": round(validate(ALONE, model, edges, MODEL.width), 4)})
    return points


def ours(edges: Edges, seconds: float) -> list[Point]:
    model = MODEL.build(edges.graph, range(MODEL.width), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=OURS.learning_rate, fused=True)
    state = {"epoch": 0, "step": 0}
    return curve(model, edges, seconds, lambda _: stage.train_epoch(ALONE, OURS, model, edges, optimizer, state))


def usual(edges: Edges, seconds: float, rate: float) -> list[Point]:
    model = MODEL.build(edges.graph, range(MODEL.width), 0)
    matrix = coo(edges)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    return curve(model, edges, seconds, lambda n: usual_epoch(USUAL, matrix, edges, model.vectors, optimizer, n))


def same_answer(edges: Edges) -> float:
    """The largest difference of the two propagations; raises where they disagree."""
    model = MODEL.build(edges.graph, range(MODEL.width), 0)
    theirs, mine = usual_propagation(coo(edges), model.vectors.detach()), model().detach()
    torch.testing.assert_close(mine, theirs, atol=1e-7, rtol=1e-4)
    return float((mine - theirs).abs().max())


def compare(peer: list[Point], fast: list[Point]) -> list[dict[str, float | None]]:
    """For every recall that the peer reached: its seconds, ours, and how many times faster; None: not reached."""
    rows: list[dict[str, float | None]] = []
    for point in peer:
        reached = next((p["seconds"] for p in fast if p["recall"] >= point["recall"]), None)
        ratio = round(point["seconds"] / reached, 1) if reached else None
        rows.append({"recall": point["recall"], "peer_seconds": point["seconds"], "seconds": reached, "ratio": ratio})
    return rows


def main(seconds: float = 120.0) -> dict[str, Any]:
    """Half of the seconds for the usual way, a quarter each for its tuned form and for ours."""
    name, pairs = beauty() if BEAUTY.exists() else synthetic()
    edges = edges_of(*pairs)
    difference = same_answer(edges)
    fast = ours(edges, seconds / 4)
    return {
        "data": name,
        "largest_difference": difference,
        "usual": compare(usual(edges, seconds / 2, USUAL.learning_rate), fast),
        "usual_at_our_rate": compare(usual(edges, seconds / 4, OURS.learning_rate), fast),
        "ours": fast,
    }


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
