"""Plain English: identifiers and docstrings use the field's words; retired ones are named with file and line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house import ROOT

PACKAGE = ROOT / "platform" / "unisid"
PATHS = sorted(PACKAGE.rglob("*.py"))
OTHERS = [path for folder in ("jobs", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
RETIRED = re.compile(
    r"\b(rivals?|foretells?|foretold|foretelling|nobody|somebody|whoever|befalls?|homeless|barred|sown|tellers?|tells|hears"
    r"|speaks|speakers?|knows|oddity)\b",
    re.IGNORECASE,
)
"""A method is a baseline, it predicts, reports, logs, was trained on; items are unassigned or excluded."""
RETIRED_NAMES = re.compile(r"\b(tell|told|retell|hear|heard|asked|spoken)\b", re.IGNORECASE)
"""In identifiers of the package alone: work is reported or logged, events are received, texts generated."""


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier that a file defines, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every line of every docstring, those below fields and constants too, with its number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from enumerate(node.value.value.splitlines(), node.lineno)


def spaced(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The identifiers of a file, their parts between underscores and capitals as words."""
    yield from ((line, re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", name)) for line, name in names(tree))


def retired(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The retired words of a file and their lines."""
    for line, text in (*spaced(tree), *docstrings(tree)):
        yield from ((line, word[0]) for word in RETIRED.finditer(text))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_retired_word_is_used(path: Path):
    found = [f"{path.relative_to(ROOT)}:{line}: {word}" for line, word in retired(ast.parse(path.read_text()))]
    assert found == []


def test_no_identifier_anywhere_has_one():
    found = []
    for path in (*PATHS, *OTHERS):
        words = RETIRED_NAMES if path in PATHS else RETIRED
        for line, name in spaced(ast.parse(path.read_text())):
            found += [f"{path.relative_to(ROOT)}:{line}: {word[0]}" for word in words.finditer(name)]
    assert found == []


def test_retired_words_are_found_in_every_place():
    docstring = '"""Tells all.\n\nA rival."""\n'
    source = docstring + 'class BigTeller:\n    """Nobody\'s."""\ndef f(barred_items):\n    sown = 1'
    assert sorted(retired(ast.parse(source))) == [
        (1, "Tells"), (3, "rival"), (4, "Teller"), (5, "Nobody"), (6, "barred"), (7, "sown"),
    ]  # fmt: skip
    assert list(retired(ast.parse('"""A storyteller\'s baseline is unknown."""'))) == []
