"""What docs and docstrings name of the repository exists: files, folders, modules and what is in them."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.test_house import ROOT
from tests.house.test_modules import parsed
from tests.house.test_words import docstrings
from unisid.artifacts.nouns import NOUNS
from unisid.stages.flow import STAGES

PACKAGE = ROOT / "platform" / "unisid"
PAGES = [*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md"))]
SOURCES = [path for room in ("platform", "jobs", "benchmarks", "tests") for path in sorted((ROOT / room).rglob("*.py"))]
PATHS = [path for path in sorted(PAGES) if path.name not in ("CHANGELOG.md", "log.md")] + SOURCES
"""The changelog and the log name what was there at their time."""
FILES = {path.name for path in (*SOURCES, *ROOT.glob("*.py"))}
ROOMS = {path.stem for path in PACKAGE.iterdir()}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"data"}
OWN = {"my_experiments.py", "tokenizers/rotated.py", "baselines/markov.py", "datasets/library.py", "evaluate.py"}
"""Files of the reader's own, in examples, and of other systems."""
QUOTED = re.compile(r"`([^`\s]+)`")
FILE = re.compile(r"[\w<>*-]+(?:/[\w<>*.-]+)*(?:\.py|/)|[\w-]+(?:/[\w<>*.-]+)+")
INSIDE = re.compile(r"[a-z]\w*(?:\.\w+)+")
MODULE = re.compile(r"\b(?:unisid|jobs|benchmarks)(?:\.[a-z_]\w*)+")
EDGE = re.compile(r"(\w+)(?:\[\"[^\"]*\"\])? -->(?:\|[^|]*\|)? (\w+)")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page, or of a module's docstrings."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), 1)
    else:
        yield from docstrings(parsed(path))


def is_file(word: str) -> bool:
    """Whether a path is there; what stands between angle brackets or in capitals is any name."""
    first, _, rest = word.partition("/")
    if word in OWN:
        return True
    if not rest and word.endswith("/"):
        return True
    if rest and first not in ROOMS | FOLDERS | {"unisid"}:
        return not word.endswith(".py") or word.rpartition("/")[2] in FILES
    if not rest and "*" not in word:
        return word in FILES
    pattern = re.sub(r"<\w+>|\b[A-Z]+\b", "*", word)
    return any(any(base.glob(pattern)) for base in (ROOT, ROOT / "platform", PACKAGE))


def is_module(folder: Path, names: list[str]) -> bool:
    """Whether a dotted name leads to a module, or to a name that the last module on the way mentions in its code."""
    while names and (folder / names[0]).is_dir():
        folder, *names = folder / names[0], *names[1:]
    module = folder / f"{names[0]}.py" if names else folder
    if module.exists():
        names = names[1:]
    elif folder == PACKAGE:
        module = PACKAGE / "__init__.pyi"
    else:
        module = folder / "__init__.py"
    return not names or all(re.search(rf"\b{each}\b", code(module)) for each in names)


@functools.cache
def code(path: Path) -> str:
    return path.read_text()


def lacking(text: str) -> Iterator[str]:
    """What a text names that is not there."""
    yield from (word for word in QUOTED.findall(text) if not is_there(word))
    yield from (word for word in MODULE.findall(text) if not is_there(word))


@functools.cache
def is_there(word: str) -> bool:
    """Whether what a word names exists, if it names a file, a module of the repository or what lies in one."""
    first, *rest = word.split(".")
    if FILE.fullmatch(word):
        return is_file(word)
    if MODULE.fullmatch(word):
        return is_module(PACKAGE if first == "unisid" else ROOT / first, rest)
    if not INSIDE.fullmatch(word) or first not in ROOMS - set(NOUNS) or rest[0] in ("json", "safetensors", "typed"):
        return True
    return is_module(PACKAGE, word.split(".")) or is_setting(word)


def is_setting(word: str) -> bool:
    """Whether a dotted name ends in a field of settings, such as `training.patience`."""
    field = re.compile(rf"^    {word.rpartition('.')[2]}: ", re.MULTILINE)
    return any(field.search(code(path)) for path in (PACKAGE / word.partition(".")[0]).rglob("*.py"))


def test_what_is_named_is_there():
    doubtful = [path for path in PATHS if any(lacking(path.read_text()))]  # few: only these are parsed
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in doubtful
        for line, text in lines(path)
        for word in lacking(text)
    ]
    assert found == []


def test_what_is_not_there_is_found():
    text = "`ops.beam.Decoder`, `cli*.py`, `ops/no.py`, `no_such.py`, `tokenizer/no.py`, unisid.nowhere"
    assert list(lacking(text)) == [
        "ops.beam.Decoder", "cli*.py", "ops/no.py", "no_such.py", "tokenizer/no.py", "unisid.nowhere",
    ]  # fmt: skip
    assert list(lacking("jobs.recipes.none, `training.no`")) == ["training.no", "jobs.recipes.none"]
    there = "`decoding.beam.Decoder`, `cli/*.py`, `stages/<noun>/extend.py`, `benchmarks/results/DATE.json`, unisid.run"
    assert list(lacking(f"{there}, `training.patience`")) == []


def test_the_drawn_flow_is_that_of_the_stages():
    """Every arrow between two nouns of architecture's figure is an input of the second."""
    figure = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    edges = [edge for edge in EDGE.findall(figure) if set(edge) <= set(NOUNS)]
    assert len(edges) >= 10
    assert [(left, right) for left, right in edges if left not in STAGES[right].inputs(STAGES[right].Config())] == []
