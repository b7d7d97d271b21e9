"""README, the notebook and the page about Python, run as they stand, one after the other over one store."""

import json
import re
import shutil
import tomllib
from functools import partial
from pathlib import Path

import pytest

import unisid
from tests.api import notebook
from tests.house.test_house import PLUG_INS
from tests.runtime.stores import mlflow_restored
from unisid.config import plug_ins

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path) -> list[str]:
    """The page's blocks of Python."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all of them run, so that what one made is there for the next."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with mlflow_restored():  # the pages send MLflow to the shop's own database
        yield


@pytest.fixture(scope="module")
def ran(folder):
    """The page about Python: its names after it ran, and what it printed."""
    [block] = blocks(DOCS / "howto/python.md")
    scope: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with mlflow_restored():
            [outputs] = notebook.run([{"source": [block]}], scope)
    return scope, "".join(line for output in outputs for line in output.get("text", []))


@pytest.mark.slow
def test_the_quickstart_runs_as_it_stands(ran, folder):
    scope, printed = ran
    found, figures = scope["found"], scope["figures"]
    assert [len(row) for row in found.ids] == [5, 5]
    assert not {"007", "011"} & set(found.ids[0])
    assert {"ours", "popularity"} <= set(figures["method"])
    assert (folder / "runs/reports/shop/1/report.html").is_file()
    assert len(scope["run"].places) == 8
    assert "report.html" in printed


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands_and_its_outputs_are_of_its_kind(ran):
    written = json.loads((DOCS / "quickstart.ipynb").read_text(encoding="utf-8"))
    cells = notebook.code_cells(written)
    scope: dict[str, object] = {}
    outputs = notebook.run(cells, scope)
    assert [len(row) for row in scope["found"].ids] == [5, 5]
    kinds = [[sorted(output.get("data", {"text": ""})) for output in found] for found in outputs]
    assert sum("image/png" in kind for found in kinds for kind in found) == 2
    kept = [[sorted(output.get("data", {"text": ""})) for output in cell["outputs"]] for cell in cells]
    assert kept == kinds, "run: python -m tests.api.notebook docs/quickstart.ipynb"
    assert "/tmp/" not in json.dumps(written["cells"])
    assert len({cell["id"] for cell in written["cells"]}) == len(written["cells"])


@pytest.mark.slow
def test_the_lines_of_readme_run_as_they_stand(ran, folder, monkeypatch, capsys):
    """With the quickstart's settings, for the time, and with items of its shop."""
    settings = ran[0]["small"]
    for name in ("items", "interactions"):
        [table] = (folder / "runs" / "tables").glob(f"**/*{name}*.parquet")
        shutil.copyfile(table, folder / f"{name}.parquet")
    monkeypatch.setattr(unisid, "run", partial(unisid.run, settings=settings, compute="local"))
    [block] = blocks(ROOT / "README.md")
    for line in re.findall(r'"item-\d+"', block):
        block = block.replace(line, '"007"' if line.endswith('7"') else '"011"')
    scope: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), scope)
    answer = scope["served"].predict(scope["pd"].DataFrame({"history": [["007", "011"]]}), params={"k": 5})
    ranked = scope["recommender"].rank([["007", "011"]], k=5)
    assert list(answer["item_ids"][0]) == ranked.ids[0]
    assert len(ranked.ids[0]) == 5
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [kind for folder in PLUG_INS if folder != "tasks" for kind in plug_ins(folder)])
def test_readme_names_every_kind(kind):
    assert f"`{kind}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_names_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = {*project["optional-dependencies"]} - {"dev", "docs", "cpu"}
    assert "pip install '.[cpu]'" in readme
    assert [extra for extra in extras if f"`{extra}`" not in readme] == []


def test_the_pictures_of_readme_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r'src="([^"]+)"', readme)
    assert len(pictures) == 2
    assert all((ROOT / picture).read_bytes()[:4] == b"\x89PNG" for picture in pictures)


@pytest.mark.parametrize("name", [*(name for name in unisid.__all__ if name != "__version__"), "Planned", "Pair"])
def test_the_reference_has_every_name_and_what_they_return(name):
    page = (DOCS / "reference.md").read_text()
    assert re.search(rf"^::: unisid\.[a-z_.]+\.{name}$|\b{name}\b[^\n]*\]$", page, flags=re.MULTILINE)
