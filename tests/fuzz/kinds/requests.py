"""Requests to a recommender: odd histories, counts, beams and subsets; what is answered is held against brute force."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.fuzz.outcomes import BreachError, Refused, outcome
from tests.recommenders import N, made
from tests.references import beam as brute_force
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.serving.recommender import Recommender

IN_CI = 150
SHARE = 20
CLOSE = 1e-4
"""How far scores of the two ways of computing may lie apart."""
NUMBERS: tuple[Any, ...] = (
    1,
    2,
    3,
    5,
    N - 1,
    N,
    N + 1,
    50,
    10**6,
    0,
    -1,
    2**63,
    True,
    False,
    None,
    2.0,
    2.5,
    math.nan,
    math.inf,
    -0.0,
    "3",
    "",
    "many",
    np.int64(4),
    np.int32(2),
    np.uint8(3),
    np.float32(2),
    np.float64(2.5),
    np.array(3),
    np.array([3]),
    [3],
    (3,),
    torch.tensor(3),
    b"3",
    {},
    1j,
)
BAD_ENTRIES: tuple[Any, ...] = (
    N,
    -1,
    1.5,
    math.nan,
    math.inf,
    "3",
    "id-3",
    "",
    None,
    True,
    [1, 2],
    2**63,
    -(2**70),
    1j,
    {},
)


class Ground:
    """An untrained recommender over a ring of items, on the CPU."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        places = made(Place.of(folder / "store"), folder, "tiger")
        self.recommender = Recommender.load(places["model"], places["codes"], places["catalog"], torch.device("cpu"))
        self.codes = torch.from_numpy(Codes.read(places["codes"]).codes.copy()).long()
        self.scored: dict[tuple[tuple[int, ...], bool], list[float]] = {}

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        """One call of `rank`, with none, one or several odd arguments."""
        users = chance.choice([1, 1, 2, 3, 5])
        histories: list[list[int]] = [[chance.randrange(N) for _ in range(chance.randint(1, 9))] for _ in range(users)]
        given: dict[str, Any] = {"histories": _dressed(histories, chance), "k": chance.randint(1, N)}
        given["exclude_history"] = chance.random() < 0.5
        given["renormalised"] = chance.random() < 0.3
        if chance.random() < 0.6:
            given["allowed"] = _allowed(users, chance)
        if chance.random() < 0.5:
            given["beam_width"] = chance.choice([None, N, 60, given["k"], (given["k"], N)])
        odd = [_odd_history, _odd_k, _odd_beam, _odd_allowed, _odd_flag]
        for change in chance.sample(odd, chance.choice([0, 0, 1, 1, 1, 2])):
            change(given, chance)
        note.append(" ".join(repr(given).split())[:700])
        found = outcome(lambda: self.recommender.rank(**given))
        if isinstance(found, Refused):
            if (wanted := meant(given)) is not None and wanted.plain:
                raise BreachError(f"a good request was refused: {found.message}")
            return False
        self._judge(meant(given), found)
        return True

    def _judge(self, wanted: "Meant | None", found: tuple[np.ndarray, np.ndarray]) -> None:
        if wanted is None:
            raise BreachError(f"a request without a meaning was answered: {found[0].tolist()!r:.200}")
        items, scores = found
        if items.shape != (len(wanted.histories), wanted.k) or items.shape != scores.shape:
            raise BreachError(
                f"shapes {items.shape} and {scores.shape} for {len(wanted.histories)} histories, k {wanted.k}"
            )
        for row, history in enumerate(wanted.histories):
            may = {item for item in range(N) if wanted.allowed is None or wanted.allowed[row][item]}
            may -= set(history) if wanted.exclude else set()
            self._judge_row(wanted, history, may, items[row].tolist(), scores[row].tolist())

    def _judge_row(
        self, wanted: "Meant", history: list[int], may: set[int], items: list[int], scores: list[float]
    ) -> None:
        truth = self._truth(history, wanted.renormalised)
        answered = [item for item in items if item >= 0]
        if len(set(answered)) != len(answered) or not set(answered) <= may:
            raise BreachError(f"history {history}: answered {items}, allowed are {sorted(may)}")
        if items != answered + [-1] * (len(items) - len(answered)):
            raise BreachError(f"history {history}: -1 stands before an item: {items}")
        if len(answered) < min(wanted.k, len(may)):
            raise BreachError(f"history {history}: {len(answered)} items, {min(wanted.k, len(may))} can be answered")
        if any(abs(truth[item] - score) > CLOSE for item, score in zip(answered, scores, strict=False)):
            raise BreachError(f"history {history}: scores {scores} are not {[truth[item] for item in answered]}")
        best = sorted(may, key=lambda item: -truth[item])[: len(answered)]
        if wanted.exact and any(truth[a] < truth[b] - CLOSE for a, b in zip(answered, best, strict=True)):
            raise BreachError(f"history {history}: answered {answered}, brute force {best}")

    def _truth(self, history: list[int], renormalised: bool) -> list[float]:
        read = tuple(history[-self.recommender.history_length :])
        if (read, renormalised) not in self.scored:
            tokens = self.recommender.index.tokens(torch.tensor(read)).flatten().tolist()
            values = brute_force.scores(self.recommender.backbone, tokens, self.codes, renormalised)  # type: ignore[arg-type]
            self.scored[read, renormalised] = values.tolist()
        return self.scored[read, renormalised]


class Meant:
    """A request in plain values, read one at a time."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.histories = [[_whole(item) for item in _listed(history)] for history in _listed(given["histories"])]
        if any(not row or min(row) < 0 or max(row) >= N for row in self.histories):
            raise ValueError
        self.k = _whole(given["k"])
        beam = given.get("beam_width")
        widths = [_whole(width) for width in (beam if isinstance(beam, (list, tuple)) else [beam or 0])]
        self.beam = max(self.k, 50) if beam is None else min(widths)
        if not 1 <= self.k <= N or self.beam < self.k:
            raise ValueError
        self.exclude, self.renormalised = bool(given["exclude_history"]), bool(given["renormalised"])
        self.allowed = _mask(given.get("allowed"), len(self.histories))
        self.exact = self.beam >= N
        usual = beam is None or (type(beam) is int and beam <= 50)
        self.plain = usual and type(given["k"]) is int and _is_plain(given)


def meant(given: dict[str, Any]) -> Meant | None:
    """What a request asks for, or None where it means nothing."""
    try:
        return Meant(given)
    except (ValueError, TypeError, OverflowError):
        return None


def _is_plain(given: dict[str, Any]) -> bool:
    allowed = given.get("allowed")
    rows = given["histories"]
    return (
        (allowed is None or (isinstance(allowed, np.ndarray) and allowed.dtype == bool))
        and all(isinstance(row, np.ndarray) and row.ndim == 1 and row.dtype.kind == "i" for row in rows)
        and all(type(given[flag]) is bool for flag in ("exclude_history", "renormalised"))
    )


def _whole(value: Any) -> int:
    """A whole number, whatever type it has; a single one in an array without dimensions too."""
    if isinstance(value, str):
        return int(value)
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, (list, dict, tuple)) or number is None or int(number) != number:
        raise ValueError
    return int(number)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, dict, set)) or value is None or getattr(value, "ndim", 1) == 0:
        raise ValueError
    return list(value)


def _mask(allowed: Any, users: int) -> list[list[bool]] | None:
    """Who may be answered what, by user: one row for all, or one each; only true and false, or 1 and 0."""
    if allowed is None:
        return None
    table = np.asarray(allowed.numpy() if isinstance(allowed, torch.Tensor) else allowed)
    if table.shape not in ((N,), (users, N)) or not all(value in (0, 1) for value in table.reshape(-1).tolist()):
        raise ValueError
    rows = np.broadcast_to(table.astype(bool), (users, N))
    return [row.tolist() for row in rows]


def _dressed(histories: list[list[int]], chance: random.Random) -> Any:
    kind = chance.choice([np.int64, np.int64, np.int32, np.int16, list])
    rows = [row if kind is list else np.array(row, kind) for row in histories]
    return rows if chance.random() < 0.9 else tuple(rows)


def _allowed(users: int, chance: random.Random) -> Any:
    noise = np.random.default_rng(chance.randrange(2**32))
    shape = chance.choice([(N,), (users, N), (users, N)])
    return noise.random(shape) < chance.choice([0.05, 0.3, 0.8, 1.0])


def _odd_history(given: dict[str, Any], chance: random.Random) -> None:
    rows = [list(row) for row in given["histories"]]
    row = chance.randrange(len(rows))
    act = chance.choice(
        [
            "entry",
            "empty",
            "floats",
            "strings",
            "nested",
            "scalar",
            "none",
            "none of all",
            "one array",
            "object",
            "bools",
            "uint",
            "text",
            "tensor",
            "no users",
            "long",
            "matrix",
            "generator",
        ]
    )
    if act == "entry":
        rows[row].insert(chance.randrange(len(rows[row]) + 1), chance.choice(BAD_ENTRIES))
    changed = {
        "empty": [],
        "floats": np.array(rows[row], np.float64) if act != "entry" else [],
        "strings": [str(item) for item in rows[row]],
        "nested": [rows[row]],
        "scalar": 3,
        "none": None,
        "object": np.array(rows[row], object),
        "bools": np.array([True, False]),
        "long": list(range(N)) * 500,
        "uint": np.array([1, 2], np.uint64),
        "text": "12",
        "tensor": torch.tensor([1, 2]),
        "matrix": np.array([[1, 2], [3, 4]]),
    }
    if act in changed:
        rows[row] = changed[act]  # type: ignore[call-overload]
    whole = {"none of all": None, "one array": np.array([1, 2, 3]), "no users": []}
    given["histories"] = whole.get(act, rows)
    if act == "matrix" and chance.random() < 0.5:
        given["histories"] = np.array([[1, 2], [3, 4]])


def _odd_k(given: dict[str, Any], chance: random.Random) -> None:
    given["k"] = chance.choice(NUMBERS)


def _odd_beam(given: dict[str, Any], chance: random.Random) -> None:
    given["beam_width"] = chance.choice(NUMBERS)


def _odd_flag(given: dict[str, Any], chance: random.Random) -> None:
    given[chance.choice(["exclude_history", "renormalised"])] = chance.choice([0, 1, np.bool_(True), np.bool_(False)])


def _odd_allowed(given: dict[str, Any], chance: random.Random) -> None:
    users = len(given["histories"]) if given["histories"] is not None else 1
    plain = _allowed(users, chance)
    given["allowed"] = chance.choice(
        [
            lambda: plain.tolist(),
            lambda: plain.astype(np.int8),
            lambda: plain.astype(np.float32),
            lambda: plain.astype(object),
            lambda: torch.from_numpy(plain),
            lambda: plain.T,
            lambda: plain[..., :-1],
            lambda: plain[None],
            lambda: plain * 2,
            lambda: plain * 0.5,
            lambda: np.ones((users + 1, N), bool),
            lambda: np.zeros(N, bool),
            lambda: [0, 3, 5],
            lambda: {1, 2},
            lambda: "all",
            lambda: True,
            lambda: np.array(["True"] * N),
            lambda: [[True] * N, [False]],
            lambda: np.full(N, np.nan),
            lambda: np.asfortranarray(plain),
            lambda: plain[..., ::-1],
            list,
            lambda: np.ones((1, N), bool),
            lambda: [None] * N,
            lambda: np.ones((users, N, 1), bool),
        ]
    )()
