"""Slow, obvious twins of `unisid.ops.next_item`: Python loops."""

import math


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def softmax_loss(states: list[list[float]], items: list[list[float]], targets: list[int]) -> float:
    total = 0.0
    for state, target in zip(states, targets, strict=True):
        scores = [dot(state, item) for item in items]
        total += math.log(sum(math.exp(s) for s in scores)) - scores[target]
    return total


def sampled_softmax_loss(
    states: list[list[float]], items: list[list[float]], targets: list[int], negatives: list[int]
) -> float:
    total = 0.0
    for state, target in zip(states, targets, strict=True):
        own = dot(state, items[target])
        others = [math.exp(dot(state, items[n])) for n in negatives if n != target]
        normaliser = math.exp(own) + (len(items) - 1) / max(1, len(others)) * sum(others)
        total += math.log(normaliser) - own
    return total


def binary_loss(states: list[list[float]], items: list[list[float]], targets: list[int], negatives: list[int]) -> float:
    total = 0.0
    for state, target, negative in zip(states, targets, negatives, strict=True):
        right, wrong = (1 / (1 + math.exp(-dot(state, items[i]))) for i in (target, negative))
        total -= math.log(right) + math.log(1 - wrong)
    return total
