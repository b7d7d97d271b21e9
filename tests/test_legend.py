"""A line of training says what its figures are, and which direction is good."""

from tests.lines import logged
from unisid.legend import figure, legend, shown
from unisid.making import Shown


def test_a_score_is_what_its_stage_goes_by():
    assert str(figure("model", "valid_score")) == "NDCG@10 of validation, which decides the best epoch ↑"
    assert figure("codes", "valid_score").better == "down"
    assert figure("model", "weather") is None


def test_figures_carry_an_arrow_to_where_they_are_better():
    assert shown("model", "loss", 4.25) == "loss 4.25↓"
    assert shown("model", "valid_score", 0.07123) == "valid_score 0.07123↑"
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
        "step 20  loss 4↓  valid_score 0.1↑",
    ]


def test_names_that_say_it_all_are_not_explained():
    assert legend("model", ["epoch", "step", "weather"]) == []
