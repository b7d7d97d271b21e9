"""Judgements as text: who is ahead only where both tests say so, and figures that cannot be said as such."""

import pytest

from unisid.report.judgement import certainties, indexes, judgement

FIGURE = {"HR@10": {"mean": 0.5}, "NDCG@10": {"mean": 0.25}, "MRR@10": {"mean": 0.2}}


def found(holm=0.01, permuted=0.01, low=0.01, high=0.03, **more):
    test = {"difference": 0.02, "low": low, "high": high, "p": holm, "holm": holm, "cohens_d": 0.1}
    part = {
        "figures": {"a": FIGURE, "b": FIGURE},
        "groups": {"a": {"all": {"samples": 20.0, "NDCG@10": 0.25}}, "b": {"all": {"samples": 20.0, "NDCG@10": 0.1}}},
        "comparisons": {"b": {"NDCG@10": test}},
        "permutation": {"b": permuted},
        "power": {"b": {"detectable": 0.01, "difference": 0.02, "users": None, "seeds": None, "between_seeds": None}},
    }
    rules = dict.fromkeys(("excluded", "allowed"), part)
    base = {"seeds": {"a": 1, "b": 1}, "samples": 1234, "users": 1234, "catalog": "catalog/x/1", "cutoffs": [10]}
    return base | {"rules": rules, "metric": "NDCG@10"} | more


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ({}, "a is ahead of b"),
        ({"permuted": 0.2}, "a is not shown to be ahead of b"),
        ({"holm": 0.2}, "a is not shown to be ahead of b"),
        ({"holm": 1.0, "permuted": 1.0, "low": -0.03, "high": -0.01}, "a is behind b"),
    ],
)
def test_the_verdict_needs_both_tests(figures, verdict):
    shown = judgement(found(**figures))
    assert shown.count(verdict) == 2
    assert shown.startswith("2 systems, 1,234 test samples of catalog/x/1, all items")
    assert "any number is too few" in shown
    assert "unknown: one seed" in shown


def test_samples_of_few_users_are_said():
    assert "of 99 users: intervals, tests and power are over users" in judgement(found(users=99))


def test_certainties_and_what_is_unknown_of_them():
    each = {"proven": 0.5, "first": 3.25, "slack": None, "found": 1.0, "per_second": 1234.0}
    shown = certainties({"users": 100, "k": 10, "widths": {"50": each, "100": each | {"slack": 0.125}}})
    assert shown.splitlines()[0] == "100 test users, history excluded"
    assert "all 10 proven best" in shown
    assert "unknown" in shown
    assert "0.125" in shown


def test_indexes_side_by_side_and_predictions_that_say_nothing():
    guess = {"value": 0.1, "error": 0.02, "by_mean": 0.01, "figure": "gini", "indexes": 5}
    shown = indexes(
        {
            "mine": {"items": 1234, "usage": [0.5, None], "predicted": guess},
            "theirs": {"gini": 0.25, "predicted": guess | {"error": 0.001}},
            "third": {"predicted": None},
        },
        "catalog/x/1",
    )
    assert shown.startswith("3 indexes of catalog/x/1")
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[2:5]}
    assert rows["items"] == ["1,234", "-", "-"]
    assert rows["usage"] == ["0.500", "-", "-", "-"]
    assert "mine: NDCG@10 0.1000 +- 0.0200, by 'gini' of 5 indexes; no better than the mean" in shown
    assert "theirs: NDCG@10 0.1000 +- 0.0010, by 'gini' of 5 indexes; the mean of the others: +- 0.0100" in shown
    assert "third: no NDCG is predicted" in shown
    assert indexes({"one": {}}, "c").startswith("1 index of c")
