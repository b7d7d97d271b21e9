"""InfoNCE, one anchor and one candidate at a time."""

import math


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def info_nce(
    anchors: list[list[float]],
    candidates: list[list[float]],
    own: list[int],
    ignored: list[list[bool]],
    temperature: float,
) -> float:
    """The mean of -log(exp(positive) / sum over positive and what is not ignored)."""
    losses = []
    for i, anchor in enumerate(anchors):
        positive = math.exp(cosine(anchor, candidates[own[i]]) / temperature)
        total = positive
        for j, candidate in enumerate(candidates):
            if j != own[i] and not ignored[i][j]:
                total += math.exp(cosine(anchor, candidate) / temperature)
        losses.append(-math.log(positive / total))
    return sum(losses) / len(losses)


def known(anchors: list[int], neighbours: list[list[int]], candidates: list[int]) -> list[list[bool]]:
    """Whether a candidate is the anchor itself or one of its neighbours."""
    return [[c == a or c in row for c in candidates] for a, row in zip(anchors, neighbours, strict=True)]
