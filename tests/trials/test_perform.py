"""What is told of a trial while it runs, and what is read of it when it is over, come from the same epochs."""

from dataclasses import replace

import pytest

from tests.search.quick_search import launch, quick
from unisid.artifacts.curve import read_curve
from unisid.artifacts.store import Address, Store
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
