"""Bayesian personalised ranking, pair by pair."""

import math


def bpr(known, unknown, weights=None):
    """The mean over pairs, by their weights, of -log(1 / (1 + exp(-(known - unknown))))."""
    total = 0.0
    weights = [1.0] * len(known) if weights is None else weights
    for better, worse, weight in zip(known, unknown, weights, strict=True):
        total -= weight * math.log(1.0 / (1.0 + math.exp(-(better - worse))))
    return total / sum(weights)


def unknown_items(user, pairs, num_items):
    """The items a user has no pair with, in order."""
    return [item for item in range(num_items) if (user, item) not in pairs]
