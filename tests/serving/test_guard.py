"""The guard withdraws a pair for what it did with live rows, and for nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import ConfigError
from unisid.serving.guard import Tally, chosen, fault_by_clicks, fault_of, gain
from unisid.serving.settings import Serving

LIMITS = Serving(guard_rows=10, most_errors=0.1, most_slower=3, least_agreement=0.5)


def tally(rows=100, errors=0, seconds=1.0, pairs=()):
    found = Tally()
    found.add(rows, errors, seconds)
    for new, old in pairs:
        found.compare(new, old)
    return found


@pytest.mark.parametrize(
    ("now", "before", "why"),
    [
        (tally(), tally(), ""),
        (tally(errors=10), tally(), ""),
        (tally(errors=11), tally(), "11 of 100 rows failed, serving.most_errors is 0.1"),
        (tally(seconds=3.0), tally(), ""),
        (tally(seconds=3.1), tally(), "a row took 31.0 ms, 3.1 times as long as before"),
        (tally(seconds=99), Tally(), ""),  # nothing is known of the time before
        (tally(pairs=[([1, 2], [2, 3]), ([4], [4])]), tally(), ""),
        (tally(pairs=[([1, 2], [2, 3]), ([4], [5])]), tally(), "0.250 of its items are recommended by the pair before"),
    ],
)
def test_faults(now, before, why):
    assert fault_of(now, before, LIMITS).startswith(why)
    assert bool(fault_of(now, before, LIMITS)) == bool(why)


def test_what_is_not_limited_is_not_looked_at():
    loose = Serving(most_errors=1, most_slower=0)
    assert not fault_of(tally(errors=100, seconds=99, pairs=[([1], [2])]), tally(), loose)


def clicked(*pairs):
    found = tally()
    for new, old in pairs:
        found.click(new, old, "a")
    return found


def test_the_gain_of_a_click_is_ndcg_of_one_item():
    assert gain(["a", "b"], "a") == 1
    assert gain(["b", "a"], "a") == pytest.approx(1 / np.log2(3))
    assert gain(["b"], "a") == 0


def test_clicks_speak_against_a_pair_that_ranks_them_lower():
    limits = Serving(guard_clicks=20, click_level=0.05)
    lower = [(["b", "a"], ["a", "b"]), (["a"], ["a"])]
    assert not fault_by_clicks(clicked(*lower * 9), limits)  # too few
    assert fault_by_clicks(clicked(*lower * 10), limits).startswith("it ranks what is clicked lower: NDCG@10 0.8155")
    assert not fault_by_clicks(clicked(*[(old, new) for new, old in lower * 10]), limits)
    assert not fault_by_clicks(clicked(*[(["a"], ["a"])] * 40), limits)


def test_all_looks_together_keep_the_level():
    """Where both pairs are alike, at most `click_level` of the trials end with a fault, over all looks."""
    limits, rng = Serving(guard_clicks=16, click_level=0.1), np.random.default_rng(0)
    faults = 0
    for _ in range(300):
        ranks = rng.integers(0, 12, (2, 256))
        lists = [[["b"] * rank + ["a"] if rank < 10 else ["b"] for rank in row] for row in ranks]
        found = Tally()
        fault = ""
        for new, old in zip(*lists, strict=True):
            found.click(new, old, "a")
            fault = fault or fault_by_clicks(found, limits)
        faults += bool(fault)
    assert 3 <= faults <= 300 * 0.1 + 3 * (300 * 0.1 * 0.9) ** 0.5


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_is_chosen_stays_chosen_at_a_larger_share(key, one, other):
    small, large = sorted((one, other))
    assert chosen(key, small) <= chosen(key, large)
    assert not chosen(key, 0)
    assert chosen(key, 1)


def test_a_share_of_keys_is_chosen():
    assert abs(sum(chosen(f"user-{n}", 0.2) for n in range(5000)) / 5000 - 0.2) < 0.02


def test_a_canary_needs_a_guard():
    with pytest.raises(ConfigError, match=r"serving\.canary: is 0\.1 and serving\.guard_rows 0"):
        Serving(canary=0.1)
