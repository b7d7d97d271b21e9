"""The gate: a recommender that is not worse passes, and a loss is refused with its figures."""

import numpy as np
import pytest

from unisid.versions.gate import Gate, decide


def test_the_gate():
    rng = np.random.default_rng(0)
    old = rng.integers(1, 30, 400).astype(float)
    assert decide(Gate(), old, old).passed
    better, worse = np.maximum(old - 3, 1), old + 3
    assert decide(Gate(), better, old).passed
    refused = decide(Gate(), worse, old)
    assert not refused.passed
    assert refused.figures["p_worse"] < 0.001
    assert refused.figures["difference"]["difference"] < 0
    little = old.copy()
    little[np.flatnonzero(old <= 10)[:2]] = np.nan
    assert decide(Gate(), little, old).passed  # a loss that chance explains
    strict = decide(Gate(most_loss=1e-6), little, old)
    assert not strict.passed
    assert "a loss of 1e-06 is not ruled out" in strict.why
    assert decide(Gate(most_loss=0.2), little, old).passed
    assert not decide(Gate(least_samples=401), better, old).passed
    assert decide(Gate(metric="HR@5"), better, old).figures["new"]["mean"] == pytest.approx((better <= 5).mean())
