"""The pages about Python, run as they stand."""

import re
from pathlib import Path

import pytest

import unisid

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_quickstart_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    [block] = re.findall(r"```python\n(.*?)```", (DOCS / "howto/python.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    scope: dict[str, object] = {}
    exec(compile(block, "howto/python.md", "exec"), scope)
    found, figures = scope["found"], scope["figures"]
    assert [len(row) for row in found.ids] == [5, 5]
    assert not {"007", "011"} & set(found.ids[0])
    assert {"ours", "popularity"} <= set(figures["method"])
    assert (tmp_path / "runs/reports/shop/1/report.html").is_file()
    assert "[8/8] metrics/shop/1" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in unisid.__all__ if name not in ("__version__", "Recipe")])
def test_the_reference_has_every_name(name):
    page = (DOCS / "reference.md").read_text()
    assert re.search(rf"^::: unisid\.[a-z_.]+\.{name}$|\b{name}\b[^\n]*\]$", page, flags=re.MULTILINE)
