"""What is asked: training interactions by their row, whatever else they have in common with others."""

import numpy as np

from tests.stages import ring
from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.sequences import Sequences
from unisid.runtime.local import LocalCompute
from unisid.stages import sequences
from unisid.stages.align.prompts import TrainingRows

N = 24
TWINS = [[1, 2, 3, 4, 5, 6], [1, 2, 9, 10, 11, 12], [1, 2, 3, 15, 16, 17]]
"""Users whose histories begin alike and go on to other items; after (1, 2, 3) the last has its validation target."""


def prompts(place, users, **settings) -> TrainingRows:
    at = {"catalog": ring.write_catalog(place / "catalog", users, N)}
    config = sequences.Config(**settings)
    counts = sequences.make(ring.job(config, at, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {"sliding_window": config.sliding_window}, counts)
    return TrainingRows(Catalog.read(at["catalog"]), Sequences.read(place / "sequences"), seed=0)


def test_two_samples_of_one_history_have_a_target_each(place):
    """A table of targets by history's text gives both the later one's, and the validation's where that comes last."""
    found = prompts(place, [TWINS[0], TWINS[1], [*TWINS[2][:3], 18, 19, 20]])
    batch = found.batch(found.rows)
    pairs = {
        (tuple(item for item in history if item >= 0), target)
        for history, target in zip(batch.histories.tolist(), batch.targets.tolist(), strict=True)
    }
    assert {((1, 2), 3), ((1, 2), 9), ((1, 2, 3), 4), ((1, 2, 3), 18)} <= pairs


def test_no_validation_or_test_target_can_be_reached(place):
    found = prompts(place, TWINS)
    catalog = found.catalog
    assert (catalog.split[found.rows] == TRAIN).all()
    held_out = {5, 6, 11, 12, 16, 17}
    batch, past = found.batch(found.rows), found.past(found.rows)
    assert not held_out & {*batch.targets.tolist(), *batch.histories.flatten().tolist(), *past.flatten().tolist()}


def test_histories_and_targets_are_those_of_the_training_samples(place):
    users = ring.walks(60, N)
    for sliding in (True, False):
        found = prompts(place / str(sliding), users, sliding_window=sliding)
        batch = found.batch(found.rows)
        table = Sequences.read(place / str(sliding) / "sequences").table("train", ["history", "target"])
        expected = sorted(zip(table["history"].to_pylist(), table["target"].to_pylist(), strict=True))
        ours = [[item for item in row if item >= 0] for row in batch.histories.tolist()]
        assert sorted(zip(ours, batch.targets.tolist(), strict=True)) == expected


def test_none_comes_twice_before_all_came_once(place):
    found = prompts(place, ring.walks(40, N))
    size = 10
    per_pass = len(found) // size
    passes = [np.concatenate([found.step(p * per_pass + n, size) for n in range(per_pass)]) for p in range(2)]
    assert all(len(set(rows.tolist())) == per_pass * size for rows in passes)
    assert not np.array_equal(*passes)
    assert np.array_equal(found.step(1, size), passes[0][size : 2 * size])  # an earlier step again


def test_the_past_is_all_that_the_user_took(place):
    long = list(range(12))
    found = prompts(place, [long, long[::-1]])
    rows = found.rows[-1:]
    assert found.past(rows)[0].tolist() == long[:2:-1]
    assert found.batch(rows).histories.shape[1] == ring.HISTORY
