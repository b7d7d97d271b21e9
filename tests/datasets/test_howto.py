"""What docs/howto/add-a-dataset.md shows is a dataset, and names the rows of its files as the page says."""

import re
import sys
from pathlib import Path

import pytest

import unisid.datasets
from tests.datasets import test_contract as contract
from tests.stages.test_catalog import make
from unisid.artifacts.store import Place
from unisid.config import override, plug_in, plug_ins
from unisid.errors import DataError
from unisid.stages import catalog

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-dataset.md"
KIND = "library"
LOANS = "ann;007;2020-01-01\n\nann;008;2020-01-02\nbob;007;2020-01-03\nbob;008;2020-01-04\n"


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The page's dataset in the folder of datasets, for one test, and a folder with its two files."""
    [text] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / f"{KIND}.py").write_text(text)
    monkeypatch.setattr(unisid.datasets, "__path__", [*unisid.datasets.__path__, str(tmp_path / "folder")])
    (tmp_path / "books.txt").write_text("007;Gel pen\n008;Ink\n")
    (tmp_path / "loans.txt").write_text(LOANS)
    yield tmp_path
    sys.modules.pop(f"unisid.datasets.{KIND}", None)
    vars(unisid.datasets).pop(KIND, None)


def configured(folder):
    dataset = plug_in("datasets", KIND)(path=str(folder))
    return catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0)


def test_the_pages_dataset_does_what_every_dataset_must(library):
    assert KIND in plug_ins("datasets")
    contract.test_defaults_build_and_travel(KIND)
    contract.test_without_a_path_the_error_says_which_setting_to_give(KIND)
    contract.test_paths_bear_no_identity(KIND)
    read, counts = make(configured(library), Place.of(library / "made"))
    assert (counts["items"], counts["users"], counts["interactions"]) == (2, 2, 4)
    assert sorted(read.item_ids.to_pylist()) == ["007", "008"]
    assert counts["first_time"].startswith("2020-01-01")


def test_errors_lead_to_the_line(library):
    (library / "loans.txt").write_text(LOANS + "\ncat;009;2020-01-05\n")
    with pytest.raises(DataError, match=r"name an item .*: '009' \(first in .*loans.txt, line 7\)"):
        make(configured(library), Place.of(library / "made"))
    (library / "loans.txt").write_text(LOANS + "\ncat;007;soon\n")
    with pytest.raises(DataError, match=r"loans.txt, column 3, line 7: .*'soon'"):
        make(configured(library), Place.of(library / "made"))


def test_the_command_line_takes_it_by_its_name(library):
    config = override(catalog.Config(), "dataset", KIND)
    assert override(config, "dataset.path", "data/library").dataset.kind == KIND
