"""Answers and how far they are certain, by hand."""

import numpy as np

from unisid.serving.proven import Proven


def test_the_first_items_above_the_bound_are_certain():
    items = np.array([[3, 1, 2], [3, 1, 2], [4, -1, -1]])
    scores = np.array([[-1, -2, -3], [-1, -2, -3], [-1, -np.inf, -np.inf]], "f4")
    found = Proven(items, scores, np.array([-2.5, -0.5, -np.inf], "f4"), np.full(3, 3))
    assert found.proven.tolist() == [2, 0, 1]
    assert found.whole.tolist() == [False, False, True]
    assert found.slack.tolist() == [0.5, 2.5, 0]


def test_slack_where_nothing_is_known_or_nothing_is_left():
    items, scores = np.array([[3, 1], [2, -1], [-1, -1]]), np.array([[-1, -2], [-1, -np.inf], [-np.inf] * 2], "f4")
    unknown = Proven(items, scores, np.full(3, np.inf, "f4"), np.full(3, 2))
    assert unknown.slack.tolist() == [np.inf, np.inf, 0.0]  # of the third nothing could be recommended
    exact = Proven(items, scores, np.full(3, -np.inf, "f4"), np.full(3, 2))
    assert exact.slack.tolist() == [0.0, 0.0, 0.0]
