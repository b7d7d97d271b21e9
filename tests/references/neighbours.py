"""Neighbours by shared users, pair by pair."""


def co_occurrence(baskets: list[set[int]], num_items: int, num_neighbours: int) -> list[list[int]]:
    """For every item, the others by how many baskets hold both; ties by number; -1 at the end."""
    rows = []
    for item in range(num_items):
        shared = {j: sum(item in b and j in b for b in baskets) for j in range(num_items) if j != item}
        best = sorted((j for j in shared if shared[j]), key=lambda j: (-shared[j], j))[:num_neighbours]
        rows.append(best + [-1] * (num_neighbours - len(best)))
    return rows
