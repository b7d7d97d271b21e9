"""Figures by group of samples, one sample after another."""

import math


def thirds(users: list[int]) -> list[int]:
    """Third of each item by users, equals by number; -1 for none."""
    known = sorted((count, item) for item, count in enumerate(users) if count)
    sizes = [len(known) // 3 + (number < len(known) % 3) for number in range(3)]
    found, at = [-1] * len(users), 0
    for number, size in enumerate(sizes):
        for _, item in known[at : at + size]:
            found[item] = number
        at += size
    return found


def figures(ranks: list[float], inside: list[bool], cutoff: int) -> dict[str, float]:
    """Means over the samples inside."""
    mine = [rank for rank, belongs in zip(ranks, inside, strict=True) if belongs]
    hits = [rank for rank in mine if rank <= cutoff]
    return {
        "samples": len(mine),
        f"HR@{cutoff}": len(hits) / len(mine),
        f"NDCG@{cutoff}": sum(1 / math.log2(rank + 1) for rank in hits) / len(mine),
        f"MRR@{cutoff}": sum(1 / rank for rank in hits) / len(mine),
    }
