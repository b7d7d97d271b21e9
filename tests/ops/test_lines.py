"""Lines through points against numpy's own, and errors on points that were left out against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unisid.ops.lines import left_out_errors, line

POINTS = arrays(np.float64, (7, 2), elements=st.integers(-50, 50).map(float))


@given(POINTS)
def test_a_line_is_that_of_least_squares(points):
    x, y = points.T
    at = np.array([-3.0, 0.0, 9.0])
    found = line(x, y)(at)
    wanted = np.polynomial.Polynomial.fit(x, y, 1)(at) if np.ptp(x) > 0 else np.full(3, y.mean())
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@given(POINTS)
def test_errors_are_those_of_lines_through_the_others(points):
    x, y = points[:, :1], points[:, 1]
    wrong = [float(line(np.delete(x[:, 0], n), np.delete(y, n))(x[n])[0]) - y[n] for n in range(len(y))]
    assert left_out_errors(x, y)[0] == pytest.approx(np.sqrt(np.mean(np.square(wrong))))


def test_points_on_a_line_are_predicted_without_error():
    x = np.arange(6.0)
    assert left_out_errors(np.column_stack([x, x % 2]), 3 * x - 1)[0] == pytest.approx(0, abs=1e-9)
