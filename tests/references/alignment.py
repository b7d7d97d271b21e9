"""LETTER's two losses, one row and one candidate at a time."""

import math

import numpy as np


def alignment_loss(quantized, candidates, own, known):
    """Over the rows of which something is known; what is not known is no candidate."""
    losses = []
    for row, mine in zip(np.asarray(quantized, np.float64), own, strict=True):
        if not known[mine]:
            continue
        scores = {j: float(row @ np.asarray(candidates[j], np.float64)) for j in range(len(candidates)) if known[j]}
        losses.append(math.log(sum(math.exp(s) for s in scores.values())) - scores[mine])
    return sum(losses) / len(losses)


def diversity_loss(codewords, clusters, codes):
    """Over rows by their codes, as LETTER writes it, for every codeword that it could draw from the same cluster."""
    codewords = np.asarray(codewords, np.float64)
    losses = []
    for code in codes:
        others = [j for j in range(len(codewords)) if j != code]
        scores = {j: float(codewords[code] @ codewords[j]) for j in others}
        total = math.log(sum(math.exp(s) for s in scores.values()))
        drawn = [total - scores[j] for j in others if clusters[j] == clusters[code]]
        losses.append(sum(drawn) / len(drawn) if drawn else 0.0)
    return sum(losses) / len(losses)
