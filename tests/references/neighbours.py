"""Neighbours by shared users, pair by pair."""

from fractions import Fraction


def co_occurrence(baskets: list[set[int]], num_items: int, num_neighbours: int) -> list[list[int]]:
    """For every item, the others by how many baskets hold both; ties by number; -1 at the end."""
    rows = []
    for item in range(num_items):
        shared = {j: sum(item in b and j in b for b in baskets) for j in range(num_items) if j != item}
        best = sorted((j for j in shared if shared[j]), key=lambda j: (-shared[j], j))[:num_neighbours]
        rows.append(best + [-1] * (num_neighbours - len(best)))
    return rows


def weighted(baskets: list[dict[int, int]], num_items: int, num_neighbours: int, cosine: bool) -> list[list[int]]:
    """The same where a basket weighs its items: by the sums of both weights' products, or by their squared cosines."""
    rows = []
    for item in range(num_items):
        shared = {j: sum(b[item] * b[j] for b in baskets if item in b and j in b) for j in range(num_items)}
        own = {j: sum(b[j] ** 2 for b in baskets if j in b) if cosine else 1 for j in range(num_items)}
        value = {j: Fraction(shared[j] ** 2, own[j]) for j in shared if shared[j] and j != item}
        best = sorted(value, key=lambda j: (-value[j], j))[:num_neighbours]
        rows.append(best + [-1] * (num_neighbours - len(best)))
    return rows


def by_cosine(baskets: list[set[int]], num_items: int, num_neighbours: int) -> list[list[int]]:
    """The same by shared baskets over the root of both items' baskets, compared as exact fractions of their squares."""
    baskets_of = [sum(item in b for b in baskets) for item in range(num_items)]
    rows = []
    for item in range(num_items):
        shared = {j: sum(item in b and j in b for b in baskets) for j in range(num_items) if j != item}
        square = {j: Fraction(n * n, baskets_of[item] * baskets_of[j]) for j, n in shared.items() if n}
        best = sorted(square, key=lambda j: (-square[j], j))[:num_neighbours]
        rows.append(best + [-1] * (num_neighbours - len(best)))
    return rows
