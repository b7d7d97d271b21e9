"""Pieces of work one after the other: what is told of each, and what early stopping may be asked."""

import pytest

from tests.runtime.pieces import Heard, Piece, work
from unisid.errors import ConfigError
from unisid.runtime.trials import Asha, InTurn, Share


def test_in_turn_reports_results_and_faults(tmp_path):
    heard = Heard()
    pieces = [Piece(1.0), Piece(2.0, disaster="bug", marker=str(tmp_path / "struck"))]
    InTurn().run(pieces, work, Share(), heard)
    assert heard.kinds(0) == ["begun", "reported", "reported", "reported", "done"]
    assert heard.last(0)[1]["slope"] == 1.0
    assert [more["value"] for kind, more in heard[0] if kind == "reported"] == [1.0, 2.0, 3.0]
    assert heard.kinds(1) == ["begun", "reported", "reported", "lost"]
    assert "TypeError: as planned" in heard.last(1)[1]["error"]


def test_in_turn_refuses_early_stopping():
    with pytest.raises(ConfigError, match="early stopping is Ray Tune's; leave out --compute local"):
        InTurn().check(Share(), Asha(longest=3))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"longest": 3, "grace": 4}, "asha: grace 4; must be from 1 to 3, the last that is reported"),
        ({"longest": 3, "grace": 0}, "asha: grace 0; must be from 1 to 3"),
        ({"longest": 3, "reduction": 1.0}, "asha: reduction 1; must be above 1"),
    ],
)
def test_halving_that_stops_nothing_is_refused(settings, why):
    with pytest.raises(ConfigError, match=why):
        Asha(**settings)


def test_a_share_in_words():
    assert str(Share()) == "1 CPUs"
    assert str(Share(cpus=0.5, gpus=0.25)) == "0.5 CPUs and 0.25 GPUs"
