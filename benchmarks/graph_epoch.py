"""LightGCN's epoch at 10^7 edges: CSR blocks beside the usual sparse COO product and beside messages that are added up.

The usual product is `torch.sparse.mm` of the square adjacency in COO; adding messages up (rows of the senders, times
the edges' weights, `index_add_` at the receivers) is the arithmetic of PyTorch Geometric's LGConv. Where that package,
torch_geometric, is installed, LGConv is timed itself, in three forms: given edges, which it weighs anew at every call,
as its own LightGCN does (`torch_geometric`); given edges and their weights (`torch_geometric_weighed`); and given the
square adjacency in CSR with its weights, a sparse product (`torch_geometric_csr`). All learn from the same graph with
the same batches, loss and fused Adam, and their propagations must be equal first. An epoch is the drawing of all its
batches and negatives, and as many steps as it has, of which a few are timed in turn. One thread, whose own time
counts: other work on the machine adds none.

python -m benchmarks.graph_epoch            # about 10^7 edges
python -m benchmarks.graph_epoch 1000000    # a tenth of them, of a tenth of the users and items
"""

import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks._edges import drawn
from unisid.graphs import lightgcn
from unisid.ops.bpr import bpr
from unisid.ops.propagate import mean_over_layers
from unisid.stages import graph as stage
from unisid.stages.graph.edges import Edges

EDGES, USERS, ITEMS = 10**7, 1_500_000, 500_000
MODEL = lightgcn.Config(num_layers=2, width=16)
STEPS, ROUNDS = 10, 2
"""Steps of an epoch; steps of each form that are timed, the best of which counts."""
PEER = "torch_geometric"
Propagation = Callable[[Tensor], Tensor]


def main(count: int = EDGES, users: int = USERS, items: int = ITEMS) -> dict[str, Any]:
    """Seconds of an epoch by each form, and how many times ours the others take."""
    torch.set_num_threads(1)
    edges = drawn(users, items, count, torch.device("cpu"))
    config = stage.Config(graph=MODEL, batch_edges=-(-len(edges.user) // STEPS))
    begun = time.process_time()
    batch = next(edges.batches(config, 0))
    for _ in edges.batches(config, 1):
        pass
    drawing = (time.process_time() - begun) * STEPS / (STEPS + 1)
    forms = {"unisid": lambda vectors: mean_over_layers(edges.graph, vectors, MODEL.num_layers), **peers(edges)}
    vectors = MODEL.build(edges.graph, range(MODEL.width), 0).vectors
    same_answers(forms, vectors.detach())
    best = dict.fromkeys(forms, float("inf"))
    optimizer = torch.optim.Adam([vectors], lr=config.learning_rate, fused=True)
    for _, name in itertools.product(range(ROUNDS), forms):
        begun = time.process_time()
        step(forms[name], vectors, optimizer, batch[:3], users)
        best[name] = min(best[name], time.process_time() - begun)
    epochs = {name: drawing + STEPS * seconds for name, seconds in best.items()}
    return {
        "edges": len(edges.user),
        "nodes": users + items,
        "width": MODEL.width,
        "layers": MODEL.num_layers,
        "drawing_seconds": round(drawing, 2),
        "unisid": {"epoch_seconds": round(epochs.pop("unisid"), 1)},
        **{
            name: {"epoch_seconds": round(seconds, 1), "ratio": round(seconds / (drawing + STEPS * best["unisid"]), 2)}
            for name, seconds in epochs.items()
        },
        "not_installed": [] if importlib.util.find_spec(PEER) else [PEER],
    }


def step(
    form: Propagation,
    vectors: torch.nn.Parameter,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor, Tensor],
    users: int,
) -> None:
    """One step of learning."""
    user, known, unknown = batch
    nodes = torch.cat([user, known + users, unknown + users])
    left, right, wrong = form(vectors).index_select(0, nodes).view(3, len(user), -1)
    length = vectors.index_select(0, nodes).square().sum() / (2 * len(user))
    optimizer.zero_grad(set_to_none=True)
    (bpr((left * right).sum(1), (left * wrong).sum(1)) + MODEL.penalty * length).backward()
    optimizer.step()


def peers(edges: Edges) -> dict[str, Propagation]:
    """The other ways to propagate, by name."""
    users = edges.graph.num_users
    user, item = edges.user.long(), edges.item.long() + users
    weight = edges.graph.users_items.values().repeat(2)
    ends = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    shape = (edges.graph.num_nodes,) * 2
    square = torch.sparse_coo_tensor(ends, weight, shape, check_invariants=False).coalesce()
    ends, weight = square.indices(), square.values()

    def add_up(vectors: Tensor) -> Tensor:
        messages = vectors.index_select(0, ends[1]) * weight[:, None]
        return torch.zeros_like(vectors).index_add_(0, ends[0], messages)

    found: dict[str, Propagation] = {
        "sparse_coo": lambda vectors: _mean(lambda x: torch.sparse.mm(square, x), vectors),
        "index_add": lambda vectors: _mean(add_up, vectors),
    }
    if importlib.util.find_spec(PEER):
        found |= geometric(square)
    return found


def geometric(square: Tensor) -> dict[str, Propagation]:
    """PyTorch Geometric's LGConv over the square adjacency [n, n] in its three forms, by name."""
    from torch_geometric.nn import LGConv

    senders_receivers, weight, rows = square.indices().flip(0).contiguous(), square.values(), square.to_sparse_csr()
    weighing, plain = LGConv(), LGConv(normalize=False)
    return {
        PEER: lambda vectors: _mean(lambda x: weighing(x, senders_receivers), vectors),
        f"{PEER}_weighed": lambda vectors: _mean(lambda x: plain(x, senders_receivers, weight), vectors),
        f"{PEER}_csr": lambda vectors: _mean(lambda x: plain(x, rows), vectors),
    }


def _mean(product: Propagation, vectors: Tensor) -> Tensor:
    layers = [vectors]
    for _ in range(MODEL.num_layers):
        layers.append(product(layers[-1]))
    return torch.stack(layers, 1).mean(1)


def same_answers(forms: dict[str, Propagation], vectors: Tensor) -> None:
    """Raises AssertionError where a propagation differs from ours."""
    ours = forms["unisid"](vectors)
    for name, form in forms.items():
        torch.testing.assert_close(
            form(vectors), ours, atol=1e-6, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else EDGES
    print(json.dumps(main(wanted, USERS * wanted // EDGES, ITEMS * wanted // EDGES), indent=2))
