"""The tables of trials with known values."""

import numpy as np

from tests.evaluation.outcomes import outcome
from unisid.evaluation.estimates import configurations
from unisid.report import search


def test_one_seed_has_no_interval_and_what_was_stopped_no_mean():
    trials = [
        outcome({"a": 1}, {"ndcg": 0.1}),
        outcome({"a": 2}, {"ndcg": 0.9}, state="stopped", note="after 3 at 0.9"),
    ]
    first, second = configurations(trials, ["ndcg"])
    assert np.isnan(first.estimates["ndcg"].half)
    assert second.estimates == {}
    table = search.table(trials, ["ndcg"], ["ndcg"])
    assert "stopped after 3 at 0.9" in table
    assert table.splitlines()[1].split() == ["1", "1", "0.1000"]


def test_the_table_is_best_first_and_marks_the_front():
    trials = [outcome({"codes.x": n}, {"ndcg": n / 10, "index": 1 - n / 10}) for n in (1, 3, 2)]
    trials.append(outcome({"codes.x": 4}, {"ndcg": 0.05, "index": 0.05}))
    lines = search.table(trials, ["ndcg", "index"], ["ndcg", "index"]).splitlines()
    assert lines[0].split() == ["x", "seeds", "ndcg", "index"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1", "4"]
    assert ["*" in line for line in lines[1:]] == [True, True, True, False]


def test_every_trial_is_a_row():
    trials = [outcome({"codes.x": "a,b"}, {"ndcg": 0.5}, 7), outcome({"codes.x": "c"}, {}, None, "failed", "why")]
    assert search.rows(trials, ["ndcg"]).decode().splitlines() == [
        "codes.x,seed,state,ndcg,note",
        '"a,b",7,complete,0.5,',
        "c,,failed,,why",
    ]


def test_keys_are_as_short_as_keeps_them_distinct():
    keys = ["codes.training.learning_rate", "model.training.learning_rate", "codes.unique"]
    assert search.short(keys[:1]) == ["learning_rate"]
    assert search.short([keys[0], keys[2]]) == ["learning_rate", "unique"]
    assert search.short(keys) == ["codes.training.learning_rate", "model.training.learning_rate", "codes.unique"]
