"""How well a graph's vectors find validation targets: recall, exact over all columns, each worker ranking its share.

Whole items are joined from all workers' columns, a block of rows at a time, so that what is sent does not grow with the
targets: 4 D (W - 1) bytes an item, of all W workers together. Which targets and items are multiplied at once does not
depend on W, so neither do the scores. U users, N items, V = U + N nodes, S targets, B of a group, R items of a block,
K known items of a group's users, w own columns of a worker, D all columns.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.compute import Worker
from unisid.graphs import GraphModel
from unisid.ops.ranking import SCORES_AT_ONCE, rank_of_target
from unisid.stages.graph.edges import Edges
from unisid.training import columns

CUTOFF = 20
OTHERS = 2 * CUTOFF - 1
"""So many of the other items' largest scores say whether a rank, 1 + above + level / 2, is within the cut-off: were
they all above or level, the rank would be 1 + OTHERS / 2 at least, which is past it."""


@torch.no_grad()
def validate(worker: Worker, model: GraphModel, edges: Edges, width: int) -> float:
    """Recall@20 of the validation targets among all items but those of the user's history.

    Args:
        width: D, of which the model has this worker's columns.
    """
    if not len(edges.valid_user):
        return 0.0
    vectors = model()
    items = vectors[edges.graph.num_users :]
    block = min(len(items), max(1, columns.BLOCK_BYTES // (4 * width)))
    size = max(1, SCORES_AT_ONCE // block)
    users = columns.join(worker, vectors[edges.valid_user], width)
    starts = range(0, len(users), size)
    own = columns.owned(len(starts), worker.rank, worker.size)
    groups = [
        Group(edges, slice(start, start + size), users[start : start + size]) for start in starts[own.start : own.stop]
    ]
    for start in range(0, len(items), block):
        whole = columns.join(worker, items[start : start + block], width)
        for group in groups:
            group.meet(start, whole)
    hits = torch.zeros(1, dtype=torch.float64, device=users.device)
    for group in groups:
        hits += group.hits()
    return float(worker.all_reduce(hits)) / len(users)


class Group:
    """Some of the targets, ranked together, as the items come block by block."""

    def __init__(self, edges: Edges, rows: slice, users: Float[Tensor, "B D"]) -> None:
        """Of these rows of the targets, with their users' vectors.

        What is known, for two users with 2 and 1 items that begin at 4 and 9 of `edges.item`: count = [2, 1], so
        row = [0, 0, 1] and within = [0, 1, 2] - [0, 0, 2] = [0, 1, 0]; they lie at start[row] + within = [4, 5, 9].
        """
        user, self.users, self.target = edges.valid_user[rows], users, edges.valid_item[rows]
        start, count = edges.unknown.offsets[user], edges.unknown.offsets.diff()[user]
        self.row = torch.arange(len(user), device=user.device).repeat_interleave(count)
        within = torch.arange(len(self.row), device=user.device) - (count.cumsum(0) - count)[self.row]
        self.known = edges.item[start[self.row] + within].long()
        self.own = users.new_full((len(user), 1), -torch.inf)
        self.others = users.new_full((len(user), OTHERS), -torch.inf)

    def meet(self, first: int, items: Float[Tensor, "R D"]) -> None:
        """Score the block that begins with item `first`, and keep the targets' scores and the best of the others."""
        scores = self.users @ items.T
        row, place = _inside(torch.arange(len(self.target), device=self.target.device), self.target - first, len(items))
        self.own[row, 0] = scores[row, place]  # a target is never masked, as all are known where the graph leaks
        scores[row, place] = -torch.inf
        scores[_inside(self.row, self.known - first, len(items))] = -torch.inf
        best = scores.topk(min(OTHERS, len(items))).values
        self.others = torch.cat([self.others, best], 1).topk(OTHERS).values

    def hits(self) -> Int[Tensor, ""]:
        """How many targets are within the cut-off, once all blocks were met."""
        scores = torch.cat([self.own, self.others], 1)
        return (rank_of_target(scores, torch.zeros_like(self.target)) <= CUTOFF).sum()


def _inside(row: Int[Tensor, " n"], place: Int[Tensor, " n"], size: int) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """The pairs whose place lies in a block of this size."""
    kept = (place >= 0) & (place < size)
    return row[kept], place[kept]
