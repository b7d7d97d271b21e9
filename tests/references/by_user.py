"""Twins of `unisid.ops.by_user`: users drawn one by one, and the ordinary formulas for independent samples.

The latter are those that figures were made by before users were drawn: with one sample a user nothing may differ.
"""

import random

import numpy as np
from scipy import stats


def bootstrap_means(values: list[list[float]], user: list[int], resamples: int, seed: int) -> list[list[float]]:
    """Draws users one by one, and pools their samples."""
    draw, users = random.Random(seed), sorted(set(user))
    found = []
    for _ in range(resamples):
        drawn = [values[s] for u in draw.choices(users, k=len(users)) for s in range(len(user)) if user[s] == u]
        found.append([sum(column) / len(drawn) for column in zip(*drawn, strict=True)])
    return found


def ordinary_bootstrap_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    rows, counts = np.unique(values, axis=0, return_counts=True)
    size = len(values)
    return np.random.default_rng(seed).multinomial(size, counts / size, size=resamples) @ rows / size


def ordinary_t_test(differences: np.ndarray) -> tuple[float, float, float]:
    """The mean, p and Cohen's d of differences that have a spread."""
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    t = mean / (deviation / np.sqrt(len(differences)))
    return mean, float(stats.t.sf(t, len(differences) - 1)), mean / deviation
