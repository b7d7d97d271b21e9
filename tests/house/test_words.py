"""Plain English: code and docs use the field's words; retired ones are named with file and line."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house import ROOT

PACKAGE = ROOT / "platform" / "unisid"
PATHS = sorted(PACKAGE.rglob("*.py"))
PAGES = [
    path
    for pattern in ("*.md", "docs/**/*.md", "cluster/*", "platform/**/*.html")
    for path in sorted(ROOT.glob(pattern))
    if path.name not in ("CHANGELOG.md", "log.md")
]
"""Read as they are; what the changelog and the log say stays as it was written."""
OTHERS = [path for folder in ("jobs", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
RETIRED = re.compile(
    r"\b(rivals?|foretells?|foretold|foretelling|nobody|somebody|whoever|befalls?|homeless|barred|sown|tellers?|tells|hears"
    r"|speaks|speakers?|knows|oddity|(go|goes|gone|sent|sends?|going)(?: \w+){0,2} home)\b",
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


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Every comment of a source, with its line."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The text of every error that is raised and every line that is logged, apart from what is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("LOG.")):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def spaced(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The identifiers of a file, their parts between underscores and capitals as words."""
    yield from ((line, words_of(name)) for line, name in names(tree))


def words_of(text: str) -> str:
    """A text with its identifiers taken apart."""
    return re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", text)


def retired(text: str, in_package: bool = True) -> Iterator[tuple[int, str]]:
    """The retired words of a source and their lines; of what is no part of the package, not in its messages."""
    if not RETIRED.search(words_of(text)):
        return
    tree = ast.parse(text)
    for line, found in (*spaced(tree), *docstrings(tree), *comments(text), *(messages(tree) if in_package else ())):
        yield from ((line, word[0]) for word in RETIRED.finditer(found))


@functools.cache
def text_of(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize("room", ["package", "jobs, benchmarks, tests"])
def test_no_retired_word_is_used(room: str):
    package = room == "package"
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in (PATHS if package else OTHERS)
        for line, word in retired(text_of(path), package)
    ]
    assert found == []


def test_no_page_has_one():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word[0]}"
        for path in PAGES
        for line, text in enumerate(text_of(path).splitlines(), 1)
        for word in RETIRED.finditer(text)
    ]
    assert found == []


def test_no_identifier_of_the_package_says_told():
    found = []
    for path in PATHS:
        if RETIRED_NAMES.search(words_of(text_of(path))):
            for line, name in spaced(ast.parse(text_of(path))):
                found += [f"{path.relative_to(ROOT)}:{line}: {word[0]}" for word in RETIRED_NAMES.finditer(name)]
    assert found == []


def test_retired_words_are_found_in_every_place():
    docstring = '"""Tells all.\n\nA rival."""\n'
    source = docstring + 'class BigTeller:\n    """Nobody\'s."""\ndef f(barred_items):\n    sown = 1  # goes home'
    logged = "\nLOG.info(f'{who} knows')\nraise ValueError(f'whoever: {a}')"
    found = [
        (1, "Tells"), (3, "rival"), (4, "Teller"), (5, "Nobody"), (6, "barred"), (7, "goes home"), (7, "sown"),
    ]  # fmt: skip
    assert sorted(retired(source + logged)) == [*found, (8, "knows"), (9, "whoever")]
    assert sorted(retired(source + logged, in_package=False)) == found
    assert list(retired('"""A storyteller\'s baseline is unknown."""\nkey = {"rival": 1}')) == []


def test_first_lines_of_functions_say_what_is_returned_or_done():
    """'What follows' is a riddle: 'The callback for ...', 'Run ...', 'Raises ...' are plain."""
    riddles = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in PATHS
        if '"""What ' in text_of(path)
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (ast.get_docstring(node) or "").startswith("What ")
    ]
    assert riddles == []
