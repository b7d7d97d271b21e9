"""What docs/howto/add-a-baseline.md shows is a baseline, and an experiment with it."""

import re
import sys
from pathlib import Path

import pytest

import unisid.baselines
from tests.baselines import test_contract as contract
from tests.baselines.catalogs import random_baskets, write_catalog
from tests.search.quick_search import quick
from unisid.config import plug_ins
from unisid.experiments.definition import find

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-baseline.md"
KIND = "markov"


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """The page's baseline in the folder of baselines, for one test, and the file with the page's experiment."""
    baseline, experiment = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / f"{KIND}.py").write_text(baseline)
    (tmp_path / "my_experiments.py").write_text(experiment)
    monkeypatch.setattr(unisid.baselines, "__path__", [*unisid.baselines.__path__, str(tmp_path / "folder")])
    yield tmp_path / "my_experiments.py"
    sys.modules.pop(f"unisid.baselines.{KIND}", None)
    vars(unisid.baselines).pop(KIND, None)


def test_the_pages_baseline_does_what_every_baseline_must(experiment, place):
    assert KIND in plug_ins("baselines")
    catalog = write_catalog(place / "small", random_baskets(40, 20, seed=1), num_items=20, history_length=6)
    contract.test_scores_all_items_for_any_histories(KIND, catalog, place / "scores")
    contract.test_without_a_history_popularity_answers(KIND, catalog)
    contract.test_the_workers_shares_of_a_step_add_up_to_it(KIND, catalog)
    contract.test_learns_a_planted_order(KIND, place / "order")


def test_the_pages_experiment_compares_it(experiment):
    found = find(f"{experiment}:order", quick())
    assert [(method.name, method.recipe.baseline.baseline.kind, method.until) for method in found.methods] == [
        (KIND, KIND, "baseline"),
        ("sasrec", "sasrec", "baseline"),
    ]
