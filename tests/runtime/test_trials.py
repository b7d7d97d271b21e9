"""Pieces of work one after the other: what is told of each, and what early stopping may be asked."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from unisid.errors import ConfigError
from unisid.runtime.trials import Asha, InTurn, Share


@dataclass(frozen=True)
class Piece:
    """Reports `times` values that grow by `slope`; a disaster strikes at the second of them."""

    slope: float
    times: int = 3
    disaster: str = ""
    marker: str = ""
    """Without a marker file the disaster strikes every time."""
    pause: float = 0.0
    wanted: int = 0
    """Waits until so many pieces have begun, as their markers say."""


def work(piece: Piece, report):
    for _ in range(600 * bool(piece.wanted)):
        Path(piece.marker).touch()
        if len(list(Path(piece.marker).parent.iterdir())) >= piece.wanted:
            break
        time.sleep(0.1)
    for when in range(1, piece.times + 1):
        report({"time": when, "value": piece.slope * when})
        time.sleep(piece.pause)
        if when == 2 and piece.disaster and not (piece.marker and Path(piece.marker).exists()):
            if piece.marker:
                Path(piece.marker).touch()
            if piece.disaster == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise {"bug": TypeError, "loss": RuntimeError}[piece.disaster]("as planned")
    return {"slope": piece.slope, "folder": os.getcwd(), "pid": os.getpid()}


class Heard(dict):
    """What was heard, by piece: [(kind, more), ...]."""

    def __call__(self, number, kind, more):
        self.setdefault(number, []).append((kind, dict(more)))

    def last(self, number):
        return self[number][-1]

    def kinds(self, number):
        return [kind for kind, _ in self[number]]


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
