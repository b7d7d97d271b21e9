"""The k-core by taking out one user or item at a time."""

Pair = tuple[str, str]


def k_core(pairs: list[Pair], k: int) -> list[int]:
    """The positions of the pairs that stay."""
    alive = set(range(len(pairs)))
    while True:
        for side in (0, 1):
            names = {pairs[n][side] for n in alive}
            for name in sorted(names):
                mine = {n for n in alive if pairs[n][side] == name}
                if len(mine) < k:
                    alive -= mine
                    break
            else:
                continue
            break
        else:
            return sorted(alive)
