"""A small share of `make fuzz`: bad inputs of every kind that is through, each answered rightly or refused in words."""

import random

import pytest

from tests.fuzz import outcomes
from tests.fuzz.running import apart, known, tried
from unisid.errors import DataError

SEED = 1
KINDS = {kind: module.IN_CI for kind, module in known().items() if module.IN_CI}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bad_inputs_are_answered_rightly_or_refused_in_words(kind):
    """In a process of its own, as `make fuzz` has it: there no type of a test's hook refuses what the product must."""
    verdicts = apart(kind, SEED, KINDS[kind])
    broken = "\n".join(f"make fuzz SEED={SEED} ONLY={kind}:{v.number}: {v.breach}" for v in verdicts if v.breach)
    assert not broken, broken
    assert 0 < sum(v.answered for v in verdicts) < len(verdicts)


def test_an_input_is_the_same_when_it_is_tried_alone():
    *_, last = tried("tables", SEED, range(3))
    [alone] = tried("tables", SEED, range(2, 3))
    assert alone == last


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (ValueError("x"), "ValueError: x"),
        (KeyError("x"), "KeyError"),
        (SystemExit(3), "SystemExit"),
        (DataError(""), "where and what"),
        (DataError("table: 'int' object has no attribute 'x'"), "interpreter's words"),
    ],
)
def test_what_is_neither_answer_nor_refusal_breaks_the_law(wrong, message):
    def fail():
        raise wrong

    with pytest.raises(outcomes.BreachError, match=message):
        outcomes.outcome(fail)


@pytest.mark.parametrize(
    "message", ["table: a \x1b[31m column", "table: one\nerror: two", "table: half \ud800 a letter"]
)
def test_a_message_with_signs_that_a_terminal_obeys_breaks_the_law(message):
    with pytest.raises(outcomes.BreachError, match="raw character"):
        outcomes.check_message(message)


def test_a_refusal_in_words_and_an_answer_keep_it():
    def refuse():
        raise DataError("items.csv, row 3: the id is missing; every row needs one\n    as in the header")

    assert isinstance(outcomes.outcome(refuse), outcomes.Refused)
    assert outcomes.outcome(lambda: 5) == 5


def test_a_hang_breaks_the_law():
    def hang():
        chance = random.Random(0)
        while chance.random() < 2:
            pass

    with pytest.raises(outcomes.BreachError, match=r"no answer in 0\.2 s"):
        outcomes.outcome(hang, seconds=0.2)
