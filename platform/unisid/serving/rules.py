"""Rules over the columns of items: `in_stock and retailer == 7 and price < 20`, compiled to one bit an item.

The notation is Python's, parsed and never executed: comparisons of a column with values, `in` and `not in` a list of
values, `"toys" in categories` for a column of lists, `and`, `or`, `not`, brackets. A value that is missing makes a
comparison neither true nor false, as in SQL, and what is not true of an item leaves it out. N items.
"""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from unisid.config import did_you_mean
from unisid.errors import DataError
from unisid.printable import printable

MOST_LETTERS, MOST_PARTS = 4000, 400
"""The longest rule, and the most parts (columns, values, operators) it may have."""
COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
Value = bool | int | float | str


def compiled(rule: str, columns: Mapping[str, pa.Array]) -> Bool[np.ndarray, " N"]:
    """The mask of the items that satisfy a rule.

    Raises:
        DataError: for what is no rule, an unknown column, or a value of another type than its column.
    """
    where = f"rule {rule!r:.80}"
    truth = _Compiler(columns, where).truth(_parsed(rule, where))
    return np.ascontiguousarray(pc.fill_null(truth, False).to_numpy(zero_copy_only=False))


def _parsed(rule: str, where: str) -> ast.expr:
    if not rule.strip():
        raise DataError("rule: is empty; must be a condition on columns, such as price < 20, or left out")
    if len(rule) > MOST_LETTERS:
        raise DataError(f"{where}: has {len(rule)} characters; must have at most {MOST_LETTERS}")
    try:
        tree = ast.parse(rule.strip(), mode="eval").body
        parts = sum(1 for _ in ast.walk(tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        what = f"cannot be read ({getattr(error, 'msg', None) or 'nested too deeply'})"
        raise DataError(f"{where}: {what}; must be a condition, such as in_stock and price < 20") from None
    if parts > MOST_PARTS:
        raise DataError(f"{where}: has {parts} parts; must have at most {MOST_PARTS}")
    return tree


@dataclass(frozen=True)
class _Compiler:
    """Turns the parts of one rule into columns of true, false and null."""

    columns: Mapping[str, pa.Array]
    where: str

    def truth(self, part: ast.expr) -> pa.Array:
        """Evaluate a part of a rule for every item: true, false, or null where a value is missing."""
        if isinstance(part, ast.BoolOp):
            join = pc.and_kleene if isinstance(part.op, ast.And) else pc.or_kleene
            found = self.truth(part.values[0])
            for value in part.values[1:]:
                found = join(found, self.truth(value))
            return found
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
            return pc.invert(self.truth(part.operand))
        if isinstance(part, ast.Compare):
            return self._compared(part)
        if isinstance(part, ast.Name):
            column = self._column(part)
            if not pa.types.is_boolean(column.type):
                raise self._wrong(f"'{part.id}' is a column of {column.type}; alone must be one of true and false")
            return column
        raise self._wrong(
            f"'{_shown(part)}' is no condition; must be a comparison, such as price < 20, or a column of true and false"
        )

    def _compared(self, part: ast.Compare) -> pa.Array:
        """A chain `5 < price <= 20` is the conjunction of its links."""
        found: pa.Array | None = None
        sides = [part.left, *part.comparators]
        for left, operator, right in zip(sides, part.ops, sides[1:], strict=False):
            link = self._link(left, operator, right)
            found = link if found is None else pc.and_kleene(found, link)
        return found

    def _link(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> pa.Array:
        if isinstance(operator, ast.In | ast.NotIn):
            found = self._contained(left, right)
            return found if isinstance(operator, ast.In) else pc.invert(found)
        if type(operator) not in COMPARED:
            raise self._wrong("'is' compares nothing here; must be == or !=")
        if isinstance(left, ast.Name) and not isinstance(right, ast.Name):
            return self._with_value(left, type(operator), self._value(right))
        if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
            return self._with_value(right, TURNED[type(operator)], self._value(left))
        raise self._wrong(f"'{_shown(left)}' and '{_shown(right)}'; must compare a column with a value")

    def _contained(self, left: ast.expr, right: ast.expr) -> pa.Array:
        if isinstance(left, ast.Name) and isinstance(right, ast.List | ast.Tuple | ast.Set):
            found = pc.and_kleene(pc.is_null(self._column(left)), pa.scalar(None, pa.bool_()))  # null where it is
            for value in right.elts:
                found = pc.or_kleene(found, self._with_value(left, ast.Eq, self._value(value)))
            return found
        if isinstance(right, ast.Name) and not isinstance(left, ast.Name):
            column = self._column(right)
            if not _is_list(column.type):
                raise self._wrong(
                    f"'{right.id}' is a column of {column.type}; after a value and 'in' must be a column of lists"
                )
            return self._in_lists(right.id, column, self._value(left))
        raise self._wrong(
            "'in' takes a column and a list of values, or a value and a column of lists: retailer in [3, 7]"
        )

    def _in_lists(self, name: str, column: pa.Array, value: Value) -> pa.Array:
        """Whether each list has a value; null where there is no list."""
        hit = pc.fill_null(self._equal(name, pc.list_flatten(column), ast.Eq, value), False)
        rows = pc.list_parent_indices(column).filter(hit).to_numpy(zero_copy_only=False)
        found = np.zeros(len(column), bool)
        found[rows] = True
        return pa.array(found, mask=pc.is_null(column).to_numpy(zero_copy_only=False))

    def _with_value(self, name: ast.Name, operator: type[ast.cmpop], value: Value) -> pa.Array:
        return self._equal(name.id, self._column(name), operator, value)

    def _equal(self, name: str, column: pa.Array, operator: type[ast.cmpop], value: Value) -> pa.Array:
        kind = column.type
        fits = {bool: _is_truth, str: pa.types.is_string}.get(type(value), _is_number)
        if not fits(kind):
            raise self._wrong(
                f"'{name}' is a column of {kind}, {value!r:.40} is {_called(value)}; must be a value of "
                "the column's type"
            )
        if pa.types.is_integer(kind):
            return _with_integers(column, operator, value)
        if pa.types.is_floating(kind) and isinstance(value, int):
            value = float(value) if abs(value) < 1 << 1023 else math.inf if value > 0 else -math.inf
        return COMPARED[operator](column, pa.scalar(value, kind))

    def _column(self, name: ast.Name) -> pa.Array:
        if name.id not in self.columns:
            guess = did_you_mean(name.id, self.columns)
            raise self._wrong(f"no column '{printable(name.id)}'{guess}; there are {', '.join(self.columns)}")
        return self.columns[name.id]

    def _value(self, part: ast.expr) -> Value:
        sign = 1
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub | ast.UAdd):
            sign, part = (-1 if isinstance(part.op, ast.USub) else 1), part.operand
        value = part.value if isinstance(part, ast.Constant) else None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number and (sign < 0 or not isinstance(value, bool | str)):
            raise self._wrong(f"'{_shown(part)}' is no value; must be a number, a text in quotes, True or False")
        return sign * value if is_number else value  # type: ignore[operator, return-value]

    def _wrong(self, what: str) -> DataError:
        return DataError(f"{self.where}: {what}")


def _with_integers(column: pa.Array, operator: type[ast.cmpop], value: Any) -> pa.Array:
    """Integers beside any number, exactly: no integer is rounded to a float."""
    if isinstance(value, float):
        if operator in (ast.Eq, ast.NotEq) and not value.is_integer():
            return _everywhere(column, operator is ast.NotEq)
        if math.isinf(value):
            return _everywhere(column, (value > 0) == (operator in (ast.Lt, ast.LtE)))
        # x < 2.5 is x < 3 and x >= 2.5 is x >= 3; x <= 2.5 is x <= 2 and x > 2.5 is x > 2
        value = math.ceil(value) if operator in (ast.Lt, ast.GtE) else math.floor(value)
    info = np.iinfo(column.type.to_pandas_dtype())
    if not info.min <= value <= info.max:
        holds = (value > info.max) == (operator in (ast.Lt, ast.LtE))
        return _everywhere(column, operator is ast.NotEq or (holds and operator is not ast.Eq))
    return COMPARED[operator](column, pa.scalar(value, column.type))


def _everywhere(column: pa.Array, truth: bool) -> pa.Array:
    """One value for every item; null where the column is null."""
    return (
        pc.or_kleene(pc.is_valid(column), pa.scalar(None, pa.bool_()))
        if truth
        else pc.and_kleene(pc.is_null(column), pa.scalar(None, pa.bool_()))
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_truth(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind))


def _called(value: Value) -> str:
    return "true or false" if isinstance(value, bool) else "a text" if isinstance(value, str) else "a number"


def _shown(part: ast.expr) -> str:
    return printable(ast.unparse(part)[:60])
