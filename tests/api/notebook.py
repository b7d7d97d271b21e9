"""Notebooks run without Jupyter: `python -m tests.api.notebook docs/quickstart.ipynb` runs one and writes its outputs.

A cell's value is kept as Jupyter keeps it: as a picture or a table where it has one, else as text.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def code_cells(notebook: dict[str, Any]) -> list[Cell]:
    """The cells that run, in their order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(cells: list[Cell], scope: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The outputs of each cell, run one after the other in `scope`."""
    return [_outputs("".join(cell["source"]), scope, number) for number, cell in enumerate(cells, 1)]


def _outputs(source: str, scope: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    said, value = io.StringIO(), None
    with contextlib.redirect_stdout(said):
        exec(compile(tree, f"cell {number}", "exec"), scope)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), scope)
    found = []
    if said.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": said.getvalue().splitlines(keepends=True)})
    if value is not None:
        data = _shown(value)
        found.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return found


def _shown(value: Any) -> dict[str, Any]:
    if hasattr(value, "_repr_mimebundle_"):
        bundle = value._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {kind: base64.b64encode(v).decode() if isinstance(v, bytes) else v for kind, v in data.items()}
    table = {"text/html": value._repr_html_().splitlines(keepends=True)} if hasattr(value, "_repr_html_") else {}
    return table | {"text/plain": repr(value).splitlines(keepends=True)}


def main(path: str) -> None:
    """Run a notebook in an empty folder, and write it back with its outputs."""
    file = Path(path).resolve()
    notebook = json.loads(file.read_text(encoding="utf-8"))
    cells = code_cells(notebook)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        outputs = json.loads(json.dumps(run(cells, {})).replace(f"{os.getcwd()}/", ""))
    for number, (cell, found) in enumerate(zip(cells, outputs, strict=True), 1):
        cell["execution_count"], cell["outputs"] = number, found
    file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
