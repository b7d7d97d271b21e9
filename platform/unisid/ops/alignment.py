"""LETTER's losses beyond reconstruction: codes agree with interactions, and codewords are spread evenly.

n rows of this worker, B rows of the global batch, d width, K codewords of a level.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def alignment_loss(
    quantized: Float[Tensor, "n d"], candidates: Float[Tensor, "B d"], own: Int[Tensor, " n"], known: Bool[Tensor, " B"]
) -> Float[Tensor, ""]:
    """InfoNCE loss between each quantized row and its own item's collaborative vector among the batch's.

    -log( exp(z_i . h_i) / sum_j exp(z_i . h_j) ), by dot products (LETTER, 3.2.2). The mean over the batch's known
    items: the mean of all workers' values is that of the whole batch.

    Args:
        own: where each row's own vector is among the candidates.
        known: which candidates have a collaborative vector; the others are neither rows nor candidates.
    """
    least = torch.finfo(quantized.dtype).min  # not minus infinity: where nothing is known, gradients are 0, not NaN
    scores = (quantized @ candidates.T).masked_fill(~known, least)
    total = F.cross_entropy(scores, torch.where(known[own], own, -100), ignore_index=-100, reduction="sum")
    return total * (len(candidates) / len(quantized)) / known.sum().clamp_min(1)


def diversity_loss(
    codewords: Float[Tensor, "K d"], clusters: Int[Tensor, " K"], usage: Float[Tensor, " K"]
) -> Float[Tensor, ""]:
    """How far codewords are from their own cluster beside all others: low where every cluster keeps together.

    -log( exp(e_k . e_p) / sum_{j != k} exp(e_k . e_j) ) for the codeword k of every row (LETTER, 3.2.3). LETTER draws p
    from k's cluster; here it is the mean over all of the cluster, which is what the drawn ones are on average.

    Args:
        usage: the share of rows that have each codeword.
    """
    itself = torch.eye(len(codewords), dtype=torch.bool, device=codewords.device)
    scores = (codewords @ codewords.T).masked_fill(itself, float("-inf"))
    friends = (clusters[:, None] == clusters) & ~itself
    surprise = torch.where(friends, -scores.log_softmax(1), 0.0).sum(1) / friends.sum(1).clamp_min(1)
    return (usage * surprise).sum()
