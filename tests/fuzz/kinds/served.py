"""Batches for the registered recommender: odd cells, columns and parameters. A row's answer does not depend on the
other rows; what has none says why."""

import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException

from tests.fuzz.outcomes import BreachError, Refused, check_message, outcome
from tests.recommenders import N, made
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.runtime.pyfunc_recommender import Recommending

IN_CI = 40
SHARE = 8
IDS = [f"id-{item}" for item in range(N)]
ODD: tuple[Any, ...] = (
    None,
    math.nan,
    "",
    "id-3",
    [],
    [None],
    [""],
    ["unknown"],
    ["id-1", "unknown"],
    ["id-1", None],
    [["id-1"]],
    [1, 2],
    [1.5],
    3,
    -1,
    True,
    {},
    {"id-1": 1},
    b"id-1",
    [b"id-1"],
    "id-1,id-2",
    ["id-1"] * 500,
    pd.NaT,
    pd.NA,
    np.array([]),
    np.array(["id-1"]),
    np.array([["id-1"]]),
    ("id-1", "id-2"),
    "\x1b[31m",
    ["\x00"],
    ["\u202e"],
    10**30,
    1j,
)
"""Cells; those that `is_plain` are good, too."""
KS = (1, 3, 10, N, N + 1, 0, -1, 2**31, 2**63 - 1)


class Ground:
    """The model that is registered, loaded as MLflow loads it."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        places = made(Place.of(folder / "store"), folder, "tiger")
        self.model = Recommending()
        artifacts = {noun: str(places[noun]) for noun in ("model", "codes", "catalog")}
        self.model.load_context(SimpleNamespace(artifacts=artifacts, model_config=None))

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        column = chance.choice(["history"] * 6 + ["text", "item_id", "sid"])
        rows = [_cell(chance) for _ in range(chance.choice([0, 1, 1, 2, 4]))]
        cells: dict[str, list[Any]] = {column: rows}
        if chance.random() < 0.3:
            cells["allowed"] = [_cell(chance) for _ in rows]
        if chance.random() < 0.1:
            cells[chance.choice(["history", "text", "other"])] = [_cell(chance) for _ in rows]
        params: dict[str, Any] = {}
        if chance.random() < 0.7:
            params["k"] = chance.choice(KS)
        if chance.random() < 0.3:
            params["exclude_history"] = chance.random() < 0.5
        if chance.random() < 0.3:
            params["allowed"] = chance.choice([["*"], [], IDS[:4], ["unknown"], ["*", "id-1"], [""]])
        note.append(f"{cells!r:.500} {params}")
        found = outcome(lambda: self._asked(cells, params))
        if isinstance(found, Refused):
            if set(cells) == {"history"} and rows and params.get("k", 10) in range(1, N + 1):
                raise BreachError(f"a batch of histories was refused: {found.message}")
            return False
        self._judge(cells, params, found)
        return True

    def _asked(self, cells: dict[str, list[Any]], params: dict[str, Any]) -> pd.DataFrame:
        table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in cells.items()})
        try:
            return self.model.predict(None, table, params)
        except MlflowException as error:
            raise DataError(str(error.message)) from None

    def _judge(self, cells: dict[str, list[Any]], params: dict[str, Any], found: pd.DataFrame) -> None:
        size = len(next(iter(cells.values())))
        if len(found) != size:
            raise BreachError(f"{len(found)} rows for {size}")
        for number, row in enumerate(found.to_dict("records")):
            if row["problem"]:
                check_message(f"row: {row['problem']}")
            if "item_ids" in row:
                self._judge_row({name: values[number] for name, values in cells.items()}, params, row)

    def _judge_row(self, cells: dict[str, Any], params: dict[str, Any], row: dict[str, Any]) -> None:
        answered, k = row["item_ids"], params.get("k", 10)
        if len(set(answered)) != len(answered) or not set(answered) <= set(IDS) or len(answered) > k:
            raise BreachError(f"answered {answered} for k {k}")
        if not answered and not row["problem"]:
            raise BreachError("a row without an answer does not say why")
        history = cells.get("history")
        if is_plain(history):
            if params.get("exclude_history", True) and set(answered) & set(history):
                raise BreachError(f"answered {answered} to {history}")
            if set(cells) == {"history"} and "allowed" not in params and len(history) < 5:
                if row["problem"] or len(answered) < min(k, N - len(set(history))):
                    raise BreachError(f"a good row has {len(answered)} items, and the problem '{row['problem']}'")
                alone = self._asked({"history": [history]}, params).to_dict("records")[0]
                if alone["item_ids"] != answered:
                    raise BreachError(f"alone it is {alone['item_ids']}, among others {answered}")


def is_plain(cell: Any) -> bool:
    """Whether it is a list of some ids of the catalogue."""
    return isinstance(cell, list) and len(cell) > 0 and all(isinstance(entry, str) and entry in IDS for entry in cell)


def _cell(chance: random.Random) -> Any:
    if chance.random() < 0.5:
        return chance.sample(IDS, chance.randint(1, 6))
    return chance.choice(ODD)
