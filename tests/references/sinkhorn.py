"""Sinkhorn-Knopp as it is usually written: a positive matrix whose columns and rows are divided by their sums."""

import numpy as np


def transport_plan(distances, epsilon, iterations):
    distances = np.asarray(distances, np.float64)
    middle, half = (distances.max() + distances.min()) / 2, (distances.max() - distances.min()) / 2
    plan = np.exp(-(distances - middle) / max(half, 1e-5) / epsilon)
    rows, columns = plan.shape
    for _ in range(iterations):
        for k in range(columns):
            plan[:, k] /= plan[:, k].sum() * columns
        for n in range(rows):
            plan[n] /= plan[n].sum() * rows
    return plan
