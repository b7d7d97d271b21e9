"""What the figures of a training are in words, and which direction of each is good."""

import pytest

from tests.lines import logged
from unisid.legend import COLLISIONS, LOSS, SCORES, figure, legend, shown
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


@pytest.mark.parametrize(
    ("noun", "arrow"), [("joint", "↑"), ("baseline.teacher", "↑"), ("codes.first", "↓"), ("fused", "↓")]
)
def test_a_stage_that_hands_nothing_on_has_its_noun_s_direction(noun, arrow):
    with logged() as said:
        Shown(noun, seconds=0).show({"valid_score": 0.5})
    assert said[-1] == f"valid_score 0.5{arrow}"


def test_names_that_say_it_all_are_not_explained():
    assert legend("model", ["epoch", "step", "weather"]) == []


def test_every_noun_s_score_has_a_direction_and_a_unit():
    assert all(score.better and score.unit for score in SCORES.values())
    assert not COLLISIONS.higher_is_better
