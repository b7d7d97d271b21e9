"""Making an artifact: what a person is shown while it is made, and what is kept of it."""

import logging

import pytest

from tests.lines import logged
from unisid import making
from unisid.artifacts.curve import write_curve
from unisid.config import to_record
from unisid.errors import ConfigError, DataError
from unisid.legend import LOSS, NDCG, in_order
from unisid.log import TICK
from unisid.making import Shown
from unisid.stages import catalog, codes
from unisid.training.memory import DEVICE_PEAK


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


class Log:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def metrics(self, values):
        self.told.append(values)

    def finish(self, record, place): ...


def test_a_curve_is_handed_on_as_it_was_reported(place):
    write_curve(place, [(0, "loss", 0.5), (3, "loss", 0.25), (3, "epoch", 1.0)])
    making.replay(place, log := Log())
    assert log.told == [{"loss": 0.5, "step": 0}, {"loss": 0.25, "step": 3}, {"epoch": 1.0, "step": 3}]


def test_what_is_reported_goes_to_the_curve_and_the_tracker_without_totals():
    curve, log = [], Log()
    report = making._reporting(curve, log, Shown("codes", seconds=0))
    report({"loss": 0.5})
    report({"step": 7, "loss": 0.25, "parts_done": 3, "parts_total": 9, "parts_per_second": 1.0})
    assert (0, "loss", 0.5) in curve
    assert (7, "loss", 0.25) in curve
    assert not [name for _, name, _ in curve if name in ("step", "parts_total")]
    assert log.told[1]["step"] == 7


@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_errors_of_training_name_their_stage(kind):
    with pytest.raises(kind, match=r"^model\.training, epoch 3: why$"), making._whose("model"):
        raise kind("training, epoch 3: why")
    with pytest.raises(kind, match=r"^catalog: why$"), making._whose("model"):
        raise kind("catalog: why")


def test_the_most_of_a_device_is_kept():
    assert making._device([(0, DEVICE_PEAK, 5.0), (1, DEVICE_PEAK, 9.0), (1, "loss", 99.0)]) == {"device": 9}
    assert making._device([(0, "loss", 1.0)]) == {}


def test_settings_without_identity_are_the_runtimes():
    config = catalog.Config()
    kept = making._runtime(config, to_record(config, identity=True))
    assert "pool.workers" in kept
    assert "k_core" not in kept
    assert (making._epochs(config), making._epochs(codes.Config())) == (0, codes.Config().training.epochs)
