"""Pieces of work for tests of trials: each reports values, and may meet a disaster."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


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
