"""What a served model is given, row by row: a row that has no answer says why, and costs the other rows nothing.

Only what is wrong with the whole batch (its columns, its parameters) is refused, in our words and with HTTP status 400.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from unisid.errors import ConfigError, DataError, UnisidError

PROBLEM = "problem"
"""The column that says what was wrong with a row; empty where nothing was."""


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Inside, an error of ours becomes one that MLflow's server answers with: 400, or 500 for a damaged artifact."""
    try:
        yield
    except UnisidError as error:
        fault = "INVALID_PARAMETER_VALUE" if isinstance(error, (ConfigError, DataError)) else "INTERNAL_ERROR"
        raise MlflowException(str(error), error_code=mlflow.protos.databricks_pb2.ErrorCode.Value(fault)) from None


def filled_column(table: pd.DataFrame, columns: Sequence[str], where: str) -> str:
    """The one column of these that a batch fills; raises DataError where it fills none or several."""
    present = [name for name in columns if name in table]
    filled = [name for name in present if table[name].notna().any()] or present
    if len(filled) != 1:
        raise DataError(
            f"{where}: the input has {filled or 'none'} of the columns {', '.join(columns)}; must be exactly one"
        )
    return filled[0]


def answered(
    values: Sequence[Any],
    read: Callable[[Any], tuple[Any, str]],
    answer: Callable[[list[Any], list[int]], Sequence[Mapping[str, Any]]],
    empty: Mapping[str, Any],
) -> pd.DataFrame:
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
