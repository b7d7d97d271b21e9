"""What is told of a trial while it runs, and what is read of it when it is over, come from the same epochs."""

from dataclasses import replace

import pytest

from tests.search.quick_search import launch, quick
from unisid.artifacts.curve import read_curve, write_curve
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.evaluation import measures
from unisid.runtime.trials import InTurn
from unisid.search.definition import Search, Stopping
from unisid.search.space import parse
from unisid.tokenizers import rqkmeans, rqvae
from unisid.training.loop import Training
from unisid.trials.perform import Order, perform

EPOCHS = 3


def learned():
    """The quick recipe with codes that are learned, epoch by epoch."""
    codes = replace(
        quick().codes,
        tokenizer=rqvae.Config(num_levels=3, codebook_size=8, widths=(16, 8)),
        batch_size=64,
        training=Training(epochs=EPOCHS, learning_rate=1e-3),
    )
    return replace(quick(), codes=codes)


def finished(place: Place, epochs: range) -> Place:
    """A recommender that was best in its second epoch of five, whose curve holds some epochs; 10 steps each."""
    rates = {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.3, 5: 0.4}
    values = [(e, {"epoch": e, "valid_score": rates[e] / 2, "valid_hr_10": rates[e]}) for e in epochs]
    write_curve(place, [(10 * e, name, float(value)) for e, told in values for name, value in told.items()])
    counts = {"valid_ndcg_10": 0.25, "best_epoch": 2}
    write_record(place, Record(address="model/one/1", config={}, inputs={}, counts=counts, files=place.sizes()))
    return place


def test_all_of_a_recommenders_figures_are_of_its_best_epoch(place):
    assert measures.of_model(finished(place, range(1, 6))) == {"ndcg": 0.25, "hr": 0.5}


def test_a_rate_that_a_restart_lost_is_left_out(place):
    assert measures.of_model(finished(place, range(3, 6))) == {"ndcg": 0.25}


def test_the_ndcg_of_a_recommender_that_its_loss_selects_is_no_loss(place):
    told = {1: {"valid_score": 3.5, "valid_ndcg_10": 0.1}, 2: {"valid_score": 3.0, "valid_ndcg_10": 0.2}}
    write_curve(place, [(10 * e, n, v) for e, values in told.items() for n, v in {"epoch": e, **values}.items()])
    assert measures.of_making(Store(place), place, "ndcg") == [(1, 0.1), (2, 0.2)]
    assert measures.MEASURES["ndcg"].of_epoch(told[2]) == 0.2
    assert measures.MEASURES["ndcg"].of_epoch({"valid_score": 0.3}) == 0.3
    assert measures.MEASURES["ndcg"].of_epoch({"loss": 1.0}) is None


class Stopped(BaseException):
    """What a process meets that others are better than."""


class Hopeless(InTurn):
    """Stops every trial at its last epoch of codes, so that no recommender is trained; notes what it was told."""

    def __init__(self, last):
        self.last, self.told = last, []

    def check(self, share, asha):
        pass

    def run(self, pieces, work, share, on_event, asha=None):
        if asha is None:
            return super().run(pieces, work, share, on_event)
        for number, piece in enumerate(pieces):
            told = []

            def report(values, number=number, told=told):
                told.append(values)
                on_event(number, "reported", values)
                if values["time"] == self.last:
                    raise Stopped

            on_event(number, "begun", {})
            with pytest.raises(Stopped):
                work(piece, report)
            self.told.append(told)
            on_event(number, "stopped", {})


@pytest.mark.parametrize(("tokenizer", "last"), [("rqvae", EPOCHS), ("rqkmeans", 1)])
def test_codes_that_some_trials_share_are_told_of_in_each(place, tokenizer, last):
    words = ["codes.tokenizer.codebook_size=6,8", "model.training.learning_rate=1e-3,2e-3"]
    base = learned()
    if tokenizer == "rqkmeans":
        base = replace(base, codes=replace(base.codes, tokenizer=rqkmeans.Config(num_levels=3)))
    asked = Search(recipe=base, space=parse(words), objectives=("ndcg",), stopping=Stopping(measure="distinct"))
    runner = Hopeless(last)
    found, said = launch(asked, place, runner)
    assert "shared by some trials: 2 times codes" in said
    assert [outcome.state for outcome in found] == ["stopped"] * 4
    assert all([point["time"] for point in told] == list(range(1, last + 1)) for told in runner.told)
    assert runner.told[0] == runner.told[1]
    assert runner.told[2] == runner.told[3]
    assert runner.told[0] != runner.told[2]


def test_codes_from_before_are_told_of_as_when_they_were_made(place):
    order = Order(learned(), "codes", place.uri, "distinct")
    first, again = [], []
    assert perform(order, first.append) == perform(order, again.append) == {}
    assert [point["time"] for point in first] == list(range(1, EPOCHS + 1))
    assert again == first
    assert read_curve(Store(place).place(Address("codes", "quick", "1")))
