"""A line of training says what its figures are, which direction is good, and how far it is."""

import logging

import pytest

from tests.lines import logged
from unisid.legend import COLLISIONS, LOSS, NDCG, SCORES, figure, in_order, legend, shown
from unisid.log import TICK
from unisid.making import Shown


def test_a_score_is_what_its_stage_goes_by():
    assert str(figure("model", "valid_score")) == "NDCG@10 of validation, which decides the best epoch ↑"
    assert figure("codes", "valid_score").better == "down"
    assert figure("model", "valid_score", LOSS) is LOSS  # what the stage says comes before what is usual
    assert figure("model", "weather") is None


def test_figures_carry_an_arrow_to_where_they_are_better():
    assert shown("model", "loss", 4.25) == "loss 4.25↓"
    assert shown("model", "valid_score", 0.07123) == "valid_score 0.07123↑"
    assert shown("model", "valid_score", 2.5, LOSS) == "valid_score 2.5↓"
    assert shown("model", "epoch", 3) == "epoch 3"
    assert shown("model", "weather", 1.0) == "weather 1"


def test_a_figure_is_explained_once_above_its_first_line():
    progress = Shown("model", seconds=0)
    with logged() as said:
        progress.show({"step": 10, "loss": 5.0})
        progress.show({"step": 20, "loss": 4.0, "valid_score": 0.1})
    assert said == [
        "loss: training loss, mean of the epoch ↓",
        "step 10  loss 5↓",
        "valid_score: NDCG@10 of validation, which decides the best epoch ↑",
        "step 20  valid_score 0.1↑  loss 4↓",
    ]


@pytest.mark.parametrize(
    ("noun", "score", "arrow"), [("model", LOSS, "↓"), ("model.first", NDCG, "↑"), ("joint", NDCG, "↑")]
)
def test_a_line_has_the_score_that_the_stage_handed_on(noun, score, arrow):
    progress = Shown(noun, seconds=0)
    progress.judged_by(score)
    with logged() as said:
        progress.show({"valid_score": 0.5})
    assert said == [f"valid_score: {score}", f"valid_score 0.5{arrow}"]


@pytest.mark.parametrize(
    ("noun", "arrow"), [("joint", "↑"), ("baseline.teacher", "↑"), ("codes.first", "↓"), ("fused", "↓")]
)
def test_a_stage_that_hands_nothing_on_has_its_noun_s_direction(noun, arrow):
    with logged() as said:
        Shown(noun, seconds=0).show({"valid_score": 0.5})
    assert said[-1] == f"valid_score 0.5{arrow}"


def test_what_decides_comes_first_and_what_nothing_is_known_of_is_a_detail():
    values = {"loss": 4.0, "valid_hr_10": 0.2, "valid_weight_next_by_z": -0.0007, "valid_score": 0.1, "epoch": 3}
    assert in_order(values) == ["epoch", "valid_score", "valid_hr_10", "valid_weight_next_by_z", "loss"]
    logger = logging.getLogger("unisid.making")
    with logged() as said:
        Shown("model", seconds=0).show(values)
    assert said[-1] == "epoch 3  valid_score 0.1↑  valid_hr_10 0.2↑  loss 4↓"
    logger.setLevel(logging.DEBUG)
    try:
        with logged() as said:
            Shown("model", seconds=0).show(values)
            Shown("model", seconds=0).show({"step": 3, "weather": 1.0})
    finally:
        logger.setLevel(logging.NOTSET)
    assert said[-2:] == ["valid_weight_next_by_z -0.0007", "weather 1"]


def test_inside_an_epoch_a_line_has_the_rate_and_the_time_that_is_left():
    progress = Shown("model", seconds=0)
    far = {"steps_done": 1200, "steps_total": 5000, "steps_per_second": 2.0}
    with logged() as said:
        progress.show({"running_loss": 2.5, "step": 11_200, **far})
    assert said[-1] == "1,200 of 5,000 steps, 2 a second, 32 min left  running_loss 2.5↓"


def test_the_bar_of_steps_ends_with_its_epoch():
    progress, moves = Shown("model", seconds=0, epochs=9), []

    class Moves(logging.Handler):
        def emit(self, record):
            if record.levelno == TICK:
                moves.append((record.advance.name, record.advance.done, record.advance.total))

    handler, logger = Moves(), logging.getLogger("unisid.making")
    logger.addHandler(handler)
    logger.setLevel(TICK)
    try:
        progress.show({"running_loss": 2.5, "steps_done": 12, "steps_total": 50, "steps_per_second": 2.0})
        progress.show({"loss": 2.0, "epoch": 1})
        progress.show({"loss": 1.0, "epoch": 2})
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert moves == [("steps", 12, 50), ("steps", 50, 50), ("epochs", 1, 9), ("epochs", 2, 9)]


def test_names_that_say_it_all_are_not_explained():
    assert legend("model", ["epoch", "step", "weather"]) == []


def test_every_noun_s_score_has_a_direction_and_a_unit():
    assert all(score.better and score.unit for score in SCORES.values())
    assert not COLLISIONS.higher_is_better
