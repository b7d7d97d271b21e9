"""The gate: a recommender that is not worse passes, a loss is refused with its figures, and users are what counts."""

import numpy as np
import pytest

from unisid.versions.gate import Gate, decide

USERS, SAMPLES, TRIALS = 40, 20, 60


def test_the_gate():
    rng = np.random.default_rng(0)
    old, user = rng.integers(1, 30, 400).astype(float), rng.permutation(400)
    assert decide(Gate(), old, old, user).passed
    better, worse = np.maximum(old - 3, 1), old + 3
    assert decide(Gate(), better, old, user).passed
    refused = decide(Gate(), worse, old, user)
    assert not refused.passed
    assert "(400 samples, p" in refused.why
    assert refused.figures["p_worse"] < 0.001
    assert refused.figures["difference"]["difference"] < 0
    little = old.copy()
    little[np.flatnonzero(old <= 10)[:2]] = np.nan
    assert decide(Gate(), little, old, user).passed  # a loss that chance explains
    strict = decide(Gate(most_loss=1e-6), little, old, user)
    assert not strict.passed
    assert "a loss of 1e-06 is not ruled out" in strict.why
    assert decide(Gate(most_loss=0.2), little, old, user).passed
    assert not decide(Gate(least_users=401), better, old, user).passed
    assert decide(Gate(metric="HR@5"), better, old, user).figures["new"]["mean"] == pytest.approx((better <= 5).mean())


def alike(seed: int, lost: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranks of two recommenders, each of which finds the targets of a user or does not, 20 each, and the users; the new
    one finds those of a share of users fewer."""
    random, user = np.random.default_rng(seed), np.repeat(np.arange(USERS), SAMPLES)
    finds = random.random((2, USERS)) < np.array([[0.5 - lost], [0.5]])
    new, old = np.where(finds[:, user] != (random.random((2, len(user))) < 0.05), 1.0, np.nan)
    return new, old, user


def promoted(gate: Gate, lost: float, by_sample: bool = False) -> int:
    trials = (alike(seed, lost) for seed in range(TRIALS))
    return sum(decide(gate, new, old, np.arange(len(user)) if by_sample else user).passed for new, old, user in trials)


def test_a_difference_of_chance_between_users_is_no_loss():
    """Of 60 that are as good one in twenty is refused; sample by sample it would be one in three."""
    assert promoted(Gate(), 0.0) >= TRIALS - 9  # 3, and four standard deviations
    assert promoted(Gate(), 0.0, by_sample=True) < TRIALS * 3 / 4
    assert "(800 samples of 40 users, p" in decide(Gate(), *alike(0, 0.0)).why


def test_a_loss_is_not_ruled_out_by_many_samples_of_few_users():
    """Of 60 that are worse by .2 hardly any is promoted where that is to be ruled out; sample by sample one in four."""
    gate = Gate(metric="HR@1", most_loss=0.18, level=1e-12)
    assert promoted(gate, 0.2) <= 6
    assert promoted(gate, 0.2, by_sample=True) > TRIALS / 6


def test_many_samples_of_few_users_find_nothing():
    user = np.arange(400) % 29
    few = decide(Gate(), np.ones(400), np.full(400, np.nan), user)
    assert (few.passed, few.why) == (False, "test samples of 29 users, the gate needs 30")
