"""Lines through points by least squares, and how wrong they are about points left out. n points, F figures."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def line(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Function:
    """y = mean(y) + slope (x - mean(x)), slope = cov(x, y) / var(x); of constant x the mean of y."""
    middle, height = float(x.mean()), float(y.mean())
    spread = float(((x - middle) ** 2).sum())
    slope = float(((x - middle) * (y - height)).sum()) / spread if spread > 1e-12 * max(1.0, middle**2) else 0.0
    return lambda at: height + slope * (at - middle)


def left_out_errors(x: Float[np.ndarray, "n F"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " F"]:
    """Of every column: the root mean square error on each point by the line through the others."""
    wrong = np.empty(x.shape)
    for out in range(len(y)):
        rest = np.arange(len(y)) != out
        for column in range(x.shape[1]):
            wrong[out, column] = line(x[rest, column], y[rest])(x[out : out + 1, column])[0] - y[out]
    return np.sqrt((wrong**2).mean(0))
