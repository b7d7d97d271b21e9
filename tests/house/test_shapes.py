"""The shapes that signatures say are checked in these tests, wherever they are written."""

import ast
import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests import shapes
from unisid.evaluation.figures import over_seeds
from unisid.evaluation.next_items import held_out_steps
from unisid.ops.by_user import Users
from unisid.stages.codes.unique import crowded
from unisid.stages.graph.edges import Edges

ROOMS = (
    "alignment",
    "encoders",
    "evaluation",
    "experiments",
    "fusion",
    "graphs",
    "joint",
    "serving",
    "stages",
    "training",
)
"""Where every signature, field and alias says the shapes of its arrays and tensors."""
ANY = {"Tensor", "torch.Tensor", "NDArray", "np.ndarray"}
WEIGHTS = re.compile(r"\bstr, (torch\.)?Tensor\b")
"""Weights by name: each has a shape of its own."""


def bare(hint: str) -> bool:
    """Whether a type names an array or a tensor and not its shape."""
    return _bare(ast.parse(WEIGHTS.sub("str", hint), mode="eval").body)


def _bare(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bare(node.value)
    if isinstance(node, ast.Subscript) and shapes.WRITTEN.match(f"{ast.unparse(node.value)}["):
        return False
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
        return False
    return (isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in ANY) or any(
        _bare(child) for child in ast.iter_child_nodes(node)
    )


def hints(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every type that a module writes by what has it: of parameters, of results, of fields, of its own names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            each = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
            yield from ((f"{node.name}({a.arg})", ast.unparse(a.annotation)) for a in each if a and a.annotation)
            yield from ((node.name, ast.unparse(node.returns)) for _ in [0] if node.returns)
        elif isinstance(node, ast.ClassDef):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            yield from ((f"{node.name}.{ast.unparse(one.target)}", ast.unparse(one.annotation)) for one in fields)
    for one in tree.body:
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Subscript | ast.BinOp):
            yield ast.unparse(one.targets[0]), ast.unparse(one.value)


def test_every_room_of_tensors_is_among_them():
    found = {name.split(".")[1] for name in shapes.modules()}
    assert {"encoders", "layers", "joint", "serving", "stages", "ops", "evaluation", "training"} <= found


def test_a_wrong_shape_is_refused_where_other_types_are_not_checked():
    with pytest.raises(TypeError, match="over_seeds"):
        over_seeds(np.zeros((2, 3)), Users.single(3), [5])


@pytest.mark.parametrize(
    ("hint", "holds"),
    [
        ("Float[Tensor, 'B D'] | None", True),
        ("Mapping[str, int]", False),
        (shapes.AbstractArray, True),
        (dict[str, shapes.AbstractArray], True),
        (list[int], False),
    ],
    ids=["written", "written mapping", "array", "mapping of arrays", "numbers"],
)
def test_what_holds_a_shape(hint, holds):
    assert shapes.holds_shape(hint) == holds


def test_types_without_shapes_are_left_alone():
    def scaled(values, by):
        return values * by

    scaled.__annotations__ = {"values": torch.Tensor, "by": int}
    assert shapes.checked(scaled) is scaled
    assert scaled(torch.ones(2), 2.0).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("hint", "is_bare"),
    [
        ("Tensor | None", True),
        ("Callable[[Tensor], Float[Tensor, '']]", True),
        ("tuple[NDArray[np.int64], int]", True),
        ("np.ndarray", True),
        ("'Tensor'", True),
        ("Float[torch.Tensor, 'B D']", False),
        ("UInt64[np.ndarray, ' n'] | None", False),
        ("Mapping[str, Tensor]", False),
        ("Literal['Tensor']", False),
        ("dict[str, int]", False),
    ],
)
def test_what_names_an_array_without_its_shape(hint, is_bare):
    assert bare(hint) == is_bare


@pytest.mark.parametrize("room", ROOMS)
def test_every_signature_says_the_shapes_of_its_arrays(room):
    paths = sorted((shapes.PACKAGE / room).rglob("*.py"))
    found = [
        f"{path.relative_to(shapes.PACKAGE)}: {name}: {hint}"
        for path in paths
        for name, hint in hints(ast.parse(path.read_text()))
        if bare(hint)
    ]
    assert paths
    assert found == [], "write its shape, as Float[Tensor, 'B D']"


def test_wrong_shapes_are_refused_in_stages():
    one = np.zeros(3, np.int64)
    with pytest.raises(TypeError, match="crowded"):
        crowded(one, (2, 2), 0)
    with pytest.raises(TypeError, match="held_out_steps"):
        held_out_steps(None, one[None])
    node = torch.zeros(2, dtype=torch.int32)
    with pytest.raises(TypeError, match="Edges"):
        Edges(None, None, node, node, node.float()[None], node, node, node, one, one)
