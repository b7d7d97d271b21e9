"""Slow, obvious twins of `unisid.ops.ranking`: Python loops over lists."""

import math


def rank_of_target(scores: list[float], target: int) -> float:
    if scores[target] == -math.inf:
        return math.nan
    rank = 1.0
    for item, score in enumerate(scores):
        if item != target and score > scores[target]:
            rank += 1.0
        if item != target and score == scores[target]:
            rank += 0.5
    return rank


def rank_in_list(items: list[int], scores: list[float], target: int, kept: list[bool]) -> float:
    rest = [(i, s) for i, s, k in zip(items, scores, kept, strict=True) if k]
    if target not in [i for i, _ in rest]:
        return math.nan
    return rank_of_target([s for _, s in rest], [i for i, _ in rest].index(target))


def hit_rate(ranks: list[float], k: int) -> float:
    return sum(1 for rank in ranks if rank <= k) / len(ranks)


def ndcg(ranks: list[float], k: int) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks if rank <= k) / len(ranks)


def mean_reciprocal_rank(ranks: list[float], k: int) -> float:
    return sum(1 / rank for rank in ranks if rank <= k) / len(ranks)


def itemknn_scores(
    baskets: list[set[int]], num_items: int, history: list[int], shrinkage: float, decay: float
) -> list[float]:
    """Cosine over users, damped where few users share a pair, summed over the history with decay**age.

    An item is no neighbour of itself.
    """
    scores = [0.0] * num_items
    for age, seen in enumerate(reversed(history)):
        for item in range(num_items):
            if item != seen:
                both = sum(1 for b in baskets if item in b and seen in b)
                norm = math.sqrt(sum(item in b for b in baskets) * sum(seen in b for b in baskets))
                if both:
                    scores[item] += decay**age * both / norm * both / (both + shrinkage)
    return scores
