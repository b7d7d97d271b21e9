"""What a served model is given, row by row: a row that has no answer says why, and costs the other rows nothing.

Only what is wrong with the whole batch (its columns, its parameters) is refused, in our words and with HTTP status 400.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from unisid.errors import ConfigError, DataError, UnisidError
from unisid.printable import printable

PROBLEM = "problem"
"""The column that says what was wrong with a row; empty where nothing was."""
EXAMPLES = 3
"""Ids that a problem names."""


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Inside, an error of ours becomes one that MLflow's server answers with: 400, or 500 for a damaged artifact."""
    try:
        yield
    except UnisidError as error:
        fault = "INVALID_PARAMETER_VALUE" if isinstance(error, (ConfigError, DataError)) else "INTERNAL_ERROR"
        raise MlflowException(str(error), error_code=mlflow.protos.databricks_pb2.ErrorCode.Value(fault)) from None


def asked(table: pd.DataFrame, columns: Sequence[str], where: str) -> str:
    """The one column of these that a batch fills; raises DataError where it fills none or several."""
    present = [name for name in columns if name in table]
    filled = [name for name in present if table[name].notna().any()] or present
    if len(filled) != 1:
        raise DataError(f"{where}: the input has {filled or 'none'} of the columns {', '.join(columns)}; must be "
                        "exactly one")  # fmt: skip
    return filled[0]


def answered(
    values: Sequence[Any], read: Callable[[Any], tuple[Any, str]],
    answer: Callable[[list[Any], list[int]], Sequence[Mapping[str, Any]]], empty: Mapping[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """One row a value: the answer, or an empty one, and the problem.

    Args:
        read: what a value means, None for nothing, and its problem; a DataError is a problem too.
        answer: the rows for all that mean something, given with their numbers; a row may have a problem of its own.
        empty: the row for what means nothing.
    """
    meant = [_read(value, read) for value in values]
    good = [number for number, (found, _) in enumerate(meant) if found is not None]
    rows = [{**empty, PROBLEM: problem} for _, problem in meant]
    for number, row in zip(good, answer([meant[n][0] for n in good], good) if good else [], strict=True):
        problems = [text for text in (meant[number][1], row.get(PROBLEM, "")) if text]
        rows[number] = {**row, PROBLEM: "; ".join(problems)}
    return pd.DataFrame(rows, columns=[*empty, PROBLEM])


def _read(value: Any, read: Callable[[Any], tuple[Any, str]]) -> tuple[Any, str]:
    try:
        return read(value)
    except DataError as error:
        return None, str(error)


def text_of(value: Any, where: str) -> str:
    """A value that is text; raises DataError."""
    if not isinstance(value, str):
        raise DataError(f"{where}: is {_shown(value)}; must be text")
    return value


def ids_of(value: Any, where: str) -> list[str]:
    """A value that is a list of item ids; raises DataError."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise DataError(f"{where}: is {_shown(value)}; must be a list of item ids")
    return [str(item_id) for item_id in value]


def item_numbers(value: Any, item_of: Mapping[str, int]) -> tuple[NDArray[np.int64], str]:
    """The items of a history that the catalogue has, and which were skipped; raises DataError where none is left."""
    given = ids_of(value, "history")
    if not given:
        raise DataError("history: is empty; must have at least one item id")
    unknown = [item_id for item_id in given if item_id not in item_of]
    if len(unknown) == len(given):
        raise DataError(f"history: has no item of the catalogue of {len(item_of)}, only {some(unknown)}; must have one")
    skipped = f"history: skipped what is not in the catalogue: {some(unknown)}" if unknown else ""
    return np.array([item_of[item_id] for item_id in given if item_id in item_of], np.int64), skipped


def some(item_ids: Sequence[str]) -> str:
    """The first of some ids, and how many more there are."""
    more = f" and {len(item_ids) - EXAMPLES} more" if len(item_ids) > EXAMPLES else ""
    return ", ".join(f"'{printable(item_id)}'" for item_id in item_ids[:EXAMPLES]) + more


def _shown(value: Any) -> str:
    is_missing = value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA
    return "missing" if is_missing else repr(value)[:60]
