"""Residual quantization, one row and one codeword at a time."""

import numpy as np


def quantize(rows, codebooks):
    codes = []
    for row in rows:
        left, chosen = np.array(row, np.float64), []
        for codebook in codebooks:
            distances = [float(((left - word) ** 2).sum()) for word in codebook]
            chosen.append(distances.index(min(distances)))
            left = left - codebook[chosen[-1]]
        codes.append(chosen)
    return np.array(codes)


def lookup(codes, codebooks):
    return np.array([sum(np.asarray(codebooks[m][c], np.float64) for m, c in enumerate(row)) for row in codes])


def quantization_loss(rows, codebooks, codes, beta):
    """The value; its gradients are another matter."""
    total = 0.0
    for row, chosen in zip(rows, codes, strict=True):
        left = np.array(row, np.float64)
        for codebook, code in zip(codebooks, chosen, strict=True):
            left = left - codebook[code]
            total += (1 + beta) * float((left**2).mean())
    return total / len(rows)
