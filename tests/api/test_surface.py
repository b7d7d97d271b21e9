"""`import unisid`: a few names, typed, each loaded when it is first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unisid

FOLDER = Path(unisid.__file__).parent


def test_every_public_name_is_there_and_has_its_type():
    for name in unisid.__all__:
        assert getattr(unisid, name) is not None
        assert name in dir(unisid)
    stub = ast.parse((FOLDER / "__init__.pyi").read_text())
    told = {alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told.keys() | {"__version__"} == set(unisid.__all__)
    for name, module in told.items():
        assert getattr(sys.modules[module], name) is getattr(unisid, name)
    assert (FOLDER / "py.typed").exists()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'rum'"):
        unisid.rum  # noqa: B018


def test_importing_it_loads_nothing():
    program = (
        "import sys, unisid; print(*sorted(m for m in sys.modules if m.partition('.')[0] in "
        "('torch', 'ray', 'mlflow', 'pyarrow', 'numpy') or m.startswith('unisid.')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=FOLDER.parent
    )
    assert said.stdout.strip() == ""
