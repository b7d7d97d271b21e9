import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.splits import (
    first_rows,
    leave_one_out_split,
    temporal_cuts,
    temporal_split,
    temporal_split_by,
    tied_steps,
)


@st.composite
def sorted_rows(draw):
    """Users and times of interactions sorted by user and time; times of one user, and of several, may be equal."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=8))
    times = [sorted(draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))) for n in lengths]
    return np.repeat(np.arange(len(lengths)), lengths), np.concatenate(times).astype(np.int64)


@given(sorted_rows())
def test_labels_never_decrease_within_a_user(rows):
    user, timestamp = rows
    for split in (temporal_split(user, timestamp), leave_one_out_split(user)):
        same = user[1:] == user[:-1]
        assert (np.diff(split)[same] >= 0).all()
        assert set(np.unique(split)) <= {0, 1, 2}


@given(sorted_rows())
def test_temporal_cuts_the_samples_at_80_and_90_percent_in_time(rows):
    user, timestamp = rows
    sampled = ~first_rows(user)
    split, time, total = temporal_split(user, timestamp)[sampled], timestamp[sampled], sampled.sum()
    assert (split == 0).sum() == total * 8 // 10
    assert (split <= 1).sum() == total * 9 // 10
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        if (split == earlier).any() and (split == later).any():
            assert time[split == earlier].max() <= time[split == later].min()


@given(sorted_rows())
def test_a_first_row_takes_the_label_of_the_row_after_it(rows):
    user, timestamp = rows
    split = temporal_split(user, timestamp)
    for row in np.flatnonzero(first_rows(user)[:-1]):
        if user[row + 1] == user[row]:
            assert split[row] == split[row + 1]


def test_a_lone_row_is_labelled_by_its_time():
    user = np.array([0] * 11 + [1, 2])
    timestamp = np.array([*range(11), 0, 99])
    assert temporal_split(user, timestamp)[-2:].tolist() == [0, 2]


def test_published_sizes_of_the_temporal_split():
    for samples, sizes in ((48_656, [38_924, 4_866, 4_866]), (94_654, [75_723, 9_465, 9_466])):
        user = np.zeros(samples + 1, np.int64)
        split = temporal_split(user, np.arange(samples + 1))[1:]
        assert np.bincount(split).tolist() == sizes


def test_leave_one_out_needs_three_rows():
    assert leave_one_out_split(np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3])).tolist() == [0, 0, 0, 0, 1, 2, 0, 0, 1, 2]


def test_tied_steps_are_those_of_one_user_at_one_time():
    user, timestamp = np.array([0, 0, 0, 1, 1]), np.array([5, 5, 6, 6, 6])
    assert tied_steps(user, timestamp).tolist() == [False, True, False, False, True]


@given(sorted_rows(), st.integers(0, 8))
def test_temporal_labels_of_some_users_are_those_among_all(rows, users):
    user, timestamp = rows
    samples = sorted((int(timestamp[place]), int(place)) for place in np.flatnonzero(~first_rows(user)))
    ends = [samples[cut - 1] if cut else (-1, -1) for cut in temporal_cuts(len(samples))]
    start = int(np.searchsorted(user, users))
    found = temporal_split_by(user[start:], timestamp[start:], start, ends)
    assert found.tolist() == temporal_split(user, timestamp)[start:].tolist()
