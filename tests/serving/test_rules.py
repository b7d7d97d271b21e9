"""Rules beside a slow twin: Python itself evaluates them item by item, with None for what is missing."""

import ast
import operator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.errors import DataError
from unisid.serving.rules import MOST_LETTERS, compiled

VALUES = {
    "stock": [True, False, None, True, False, True],
    "retailer": [7, 3, 7, None, -2, 2**62],
    "price": [1.5, 20.0, None, 19.99, -0.0, 1e300],
    "brand": ["a", "b", "", None, "ü", "a"],
    "groups": [["x", "y"], [], None, ["y"], ["x", None], ["z"]],
}
COLUMNS = {
    "stock": pa.array(VALUES["stock"]),
    "retailer": pa.array(VALUES["retailer"], pa.int64()),
    "price": pa.array(VALUES["price"], pa.float64()),
    "brand": pa.array(VALUES["brand"], pa.string()),
    "groups": pa.array(VALUES["groups"], pa.list_(pa.string())),
}
OPERATORS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def truth(node, row):
    """True, False or None of one item, by recursion over Python's own tree."""
    if isinstance(node, ast.BoolOp):
        found = [truth(value, row) for value in node.values]
        ends = isinstance(node.op, ast.Or)
        if ends in found:
            return ends
        return None if None in found else not ends
    if isinstance(node, ast.UnaryOp):
        found = truth(node.operand, row)
        return None if found is None else not found
    if isinstance(node, ast.Name):
        return row[node.id]
    sides = [node.left, *node.comparators]
    links = [link(left, op, right, row) for left, op, right in zip(sides, node.ops, sides[1:], strict=False)]
    return False if False in links else None if None in links else True


def link(left, op, right, row):
    left, right = (row[side.id] if isinstance(side, ast.Name) else ast.literal_eval(side) for side in (left, right))
    if left is None or right is None:
        return None
    if isinstance(op, ast.In | ast.NotIn):
        return (left in right) == isinstance(op, ast.In)
    return OPERATORS[type(op)](left, right)


def by_hand(rule):
    tree = ast.parse(rule, mode="eval").body
    rows = [{name: values[item] for name, values in VALUES.items()} for item in range(6)]
    return [truth(tree, row) is True for row in rows]


COMPARISONS = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["retailer", "price"]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(
            [
                "7",
                "3",
                "-2",
                "2.5",
                "7.0",
                "19.99",
                "1e300",
                "9223372036854775808",
                "-9e30",
                "4611686018427387904",
                "4611686018427387905",
                "4611686018427387903",
                "1e999",
                "-1e999",
            ]
        ),
    ),
    st.builds("{} {} brand".format, st.sampled_from(["'a'", "''", "'ü'"]), st.sampled_from(["==", "!=", "<", ">="])),
    st.builds("retailer {} [{}]".format, st.sampled_from(["in", "not in"]), st.sampled_from(["7", "7, 3", "2.5, -2"])),
    st.builds("'{}' {} groups".format, st.sampled_from(["x", "y", "q"]), st.sampled_from(["in", "not in"])),
    st.sampled_from(["stock", "stock == True", "1 < price <= 20", "-2 <= retailer < 7.5"]),
)
RULES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(RULES)
def test_a_rule_leaves_the_items_of_which_it_is_true(rule):
    assert compiled(rule, COLUMNS).tolist() == by_hand(rule)


def test_what_is_missing_obeys_neither_a_rule_nor_its_opposite():
    assert compiled("price < 20", COLUMNS).tolist() == [True, False, False, True, True, False]
    assert compiled("not price < 20", COLUMNS).tolist() == [False, True, False, False, False, True]
    assert compiled("retailer in []", COLUMNS).tolist() == [False] * 6


def test_a_float_is_compared_in_the_columns_own_precision():
    column = {"price": pa.array(np.array([0.1, 0.2], np.float32))}
    assert compiled("price == 0.1", column).tolist() == [True, False]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "rule: is empty"),
        ("   ", "rule: is empty"),
        ("price <", "cannot be read"),
        ("price < 20\nstock", "cannot be read"),
        ("prize < 20", "no column 'prize'; did you mean 'price'?; there are stock, retailer, price, brand, groups"),
        ("price < 'a'", "'price' is a column of double, 'a' is a text"),
        ("brand == 3", "'brand' is a column of string, 3 is a number"),
        ("stock == 1", "'stock' is a column of bool, 1 is a number"),
        ("retailer == True", "'retailer' is a column of int64, True is true or false"),
        ("price", "'price' is a column of double; alone must be one of true and false"),
        ("price < retailer", "must compare a column with a value"),
        ("3 < 4", "must compare a column with a value"),
        ("True", "'True' is no condition"),
        ("stock is True", "must be == or !="),
        ("price + 1 < 3", "'price + 1' and '3'; must compare a column with a value"),
        ("'x' in brand", "must be a column of lists"),
        ("price in 3", "'in' takes a column and a list of values"),
        ("price < None", "'None' is no value"),
        ("price < 3j", "'3j' is no value"),
        ("brand == -'a'", "is no value"),
        ("brand == b'a'", "is no value"),
        ("__import__('os').system('true')", "is no condition"),
        ("(lambda: True)()", "is no condition"),
        ("[x for x in stock]", "is no condition"),
        ("stock if stock else stock", "is no condition"),
        ("brand == f'{stock}'", "is no value"),
        ("(" * 300 + "stock" + ")" * 300, "cannot be read"),
        ("not " * 900 + "stock", "has 1"),
        ("stock" + " and stock" * 500, "must have at most"),
        ("-" * 3900 + "1 < price", "rule '---"),
        ("s" * (MOST_LETTERS + 1), "must have at most 4000"),
        ("stock\0", "rule 'stock"),
        ("\ud800 < 3", "cannot be read"),
        ("price < " + "9" * 3900, None),
    ],
)
def test_what_is_no_rule_is_refused_in_words(rule, message):
    if message is None:
        assert compiled(rule, COLUMNS).tolist() == [True, True, False, True, True, True]
        return
    with pytest.raises(DataError) as error:
        compiled(rule, COLUMNS)
    assert message in str(error.value)
