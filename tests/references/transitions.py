"""Item-to-item transitions, pair by pair."""


def table(sequences, num_items, weights, each=None):
    """S as a dictionary {(a, b): value} from users' sequences, and the weight of each of their interactions."""
    each = each or [[1.0] * len(items) for items in sequences]
    counts = [0.0] * num_items
    for items, own in zip(sequences, each, strict=True):
        for item, weight in zip(items, own, strict=True):
            counts[item] += weight
    return pairs(sequences, counts, weights, each=each)


def pairs(sequences, counts, weights, wanted=lambda i, j: True, each=None):
    """The same from some pairs of places alone, with given counts."""
    found = {}
    for row, items in enumerate(sequences):
        for i, a in enumerate(items):
            for j, b in enumerate(items):
                if a != b and 1 <= abs(j - i) <= weights.gap and wanted(i, j):
                    value = weights.fade ** (abs(j - i) - 1) * (1 if j > i else weights.backward)
                    value *= (each[row][i] * each[row][j]) ** 0.5 if each else 1.0
                    for item in (a, b):
                        value *= (counts[item] + weights.shrinkage) ** -weights.power
                    found[a, b] = found.get((a, b), 0.0) + value
    return found


def mass(table, history, recency, latest):
    """mass(b | history) as a dictionary {b: value}."""
    found = {}
    for age, a in enumerate(reversed(history[-latest:])):
        for (first, second), value in table.items():
            if first == a:
                found[second] = found.get(second, 0.0) + recency**age * value
    return found
