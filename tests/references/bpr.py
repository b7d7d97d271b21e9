"""Bayesian personalised ranking, pair by pair."""

import math


def bpr(known, unknown):
    """The mean over pairs of -log(1 / (1 + exp(-(known - unknown))))."""
    total = 0.0
    for better, worse in zip(known, unknown, strict=True):
        total -= math.log(1.0 / (1.0 + math.exp(-(better - worse))))
    return total / len(known)


def unknown_items(user, pairs, num_items):
    """The items a user has no pair with, in order."""
    return [item for item in range(num_items) if (user, item) not in pairs]
