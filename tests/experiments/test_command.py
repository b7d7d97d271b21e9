"""`unisid experiment` as it is typed."""

import pytest

from tests.search.quick import RECIPE
from unisid.cli import main

MINE = """
from dataclasses import replace

from unisid.baselines import popularity
from unisid.experiments.asked import Experiment, Method
from unisid.pipeline import Recipe
from unisid.stages import baseline


def mine(base: Recipe) -> Experiment:
    \"\"\"Mine.\"\"\"
    rival = replace(base, baseline=baseline.Config(baseline=popularity.Config()))
    longer = replace(rival, catalog=replace(base.catalog, history_length=3))
    return Experiment(name="mine", question="Does it run?", methods=(Method("a", rival), Method("b", longer)))
"""


def test_without_a_name_the_ready_ones_are_listed(capsys):
    assert main(["experiment"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"main", "rivals", "ablation", "significance", "sensitivity", "scaling", "interpretability"} <= set(listed)


def test_ones_own_runs_from_a_file_and_a_setting_reaches_every_method(tmp_path, capsys):
    path = tmp_path / "my_experiments.py"
    path.write_text(MINE)
    words = ["experiment", f"{path}:mine", "--dataset", RECIPE, "--seeds", "5", "--methods", "a", "--compute", "local",
             "--store", str(tmp_path / "runs"), "--name", "other", "--catalog.k-core", "2"]  # fmt: skip
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "[1/1] method a, seed 5: HR@10 excluded" in shown
    assert (tmp_path / "runs" / "experiments" / "other-mine" / "table.md").exists()
    assert (tmp_path / "runs" / "baseline" / "other-a-5" / "1" / "record.json").exists()
    assert '"k_core": 2' in (tmp_path / "runs" / "catalog" / "other" / "1" / "record.json").read_text()
    assert main(words) == 0
    assert "1 of 1 cells are there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mian"], "experiment 'mian': not known; did you mean 'main'"),
        (["main", "--dataset", "nowhere"], "recipe 'nowhere': not known"),
        (["main", "--dataset", RECIPE, "--methods", "sasrek"], "has no method 'sasrek'; did you mean 'sasrec'"),
        (["main", "--dataset", RECIPE, "--seeds", "1", "1"], "seeds 1, 1; give each once"),
        (["main", "--dataset", RECIPE, "--codes.levels", "3"], "no setting '--codes.levels'"),
    ],
)
def test_wrong_words(words, message, tmp_path, capsys):
    assert main(["experiment", *words, "--compute", "local", "--store", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_help_is_there(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["experiment", "--help"])
    assert stop.value.code == 0
    assert "--dataset RECIPE" in capsys.readouterr().out
