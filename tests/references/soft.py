"""Soft residual quantization, row by row."""

import math

import numpy as np


def soft(rows, codebooks, temperatures):
    """Probabilities [n, L, K] and the sum of mean codewords [n, d], by the formula."""
    everyone, sums = [], []
    for row in np.asarray(rows, float):
        levels, total, left = [], np.zeros_like(row), row.copy()
        for codebook, temperature in zip(codebooks, temperatures, strict=True):
            weights = [math.exp(-((left - word) ** 2).sum() / temperature) for word in codebook]
            shares = [weight / sum(weights) for weight in weights]
            mean = sum(share * word for share, word in zip(shares, codebook, strict=True))
            levels.append(shares)
            total, left = total + mean, left - mean
        everyone.append(levels)
        sums.append(total)
    return np.array(everyone), np.array(sums)


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(np.ravel(p), np.ravel(q), strict=True) if a > 0)
