"""`unisid experiment` as it is typed."""

import json
from dataclasses import replace

import pytest

from tests.search.quick_search import RECIPE, quick
from unisid import config as settings
from unisid import recipes
from unisid.baselines import gru4rec, popularity
from unisid.cli import main
from unisid.cli.experiment import configure
from unisid.experiments import run as experiment_run
from unisid.experiments.definition import find, with_baseline
from unisid.stages import baseline

MINE = """
from dataclasses import replace

from unisid.baselines import popularity
from unisid.experiments.definition import Experiment, Method
from unisid.planning import Recipe
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
    thesis = {"main", "baselines", "ablation", "significance", "sensitivity", "scaling", "interpretability"}
    assert thesis <= set(listed)
    assert main(["experiment", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == listed


def test_ones_own_runs_from_a_file_and_a_setting_reaches_every_method(tmp_path, capsys):
    path = tmp_path / "my_experiments.py"
    path.write_text(MINE)
    words = [
        "experiment",
        f"{path}:mine",
        "--dataset",
        RECIPE,
        "--seeds",
        "5",
        "--methods",
        "a",
        "--compute",
        "local",
        "--store",
        str(tmp_path / "runs"),
        "--name",
        "other",
        "--catalog.k-core",
        "2",
    ]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "[1/1] method a, seed 5: HR@10 excluded" in shown
    assert (tmp_path / "runs" / "experiments" / "other-mine" / "table.md").exists()
    assert (tmp_path / "runs" / "baseline" / "other-a-5" / "1" / "record.json").exists()
    assert '"k_core": 2' in (tmp_path / "runs" / "catalog" / "other" / "1" / "record.json").read_text()
    assert main(words) == 0
    assert "1 of 1 cells are there" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    body, folder = json.loads(capsys.readouterr().out), tmp_path / "runs" / "experiments" / "other-mine"
    assert body.keys() == {"folder", "experiments"}
    text = (folder / "results.json").read_text()
    assert body["experiments"]["mine"] == json.loads(
        text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    assert "null" in text  # what one seed has no spread of


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mian"], "experiment 'mian': not known; did you mean 'main'"),
        (["main", "--dataset", "nowhere"], "recipe 'nowhere': not known"),
        (["main", "--dataset", RECIPE, "--methods", "sasrek"], "has no method 'sasrek'; did you mean 'sasrec'"),
        (["main", "--dataset", RECIPE, "--seeds", "1", "1"], "seeds 1, 1; give each once"),
        (["main", "--dataset", RECIPE, "--codes.levels", "3"], "no setting '--codes.levels'"),
        (
            ["main", "--dataset", RECIPE, "--baseline.pool.cpu", "1"],
            "no setting '--baseline.pool.cpu'; did you mean 'baseline.pool.cpus'?",
        ),
        (["main", "--dataset", RECIPE, "--baseline.batch_size", "0"], "baseline.batch_size: is 0; must be at least 1"),
        (["main", "--dataset", RECIPE, "--baseline.baseline", "gru4rec"], "and the experiment says it"),
    ],
)
def test_wrong_words(words, message, tmp_path, capsys):
    assert main(["experiment", *words, "--compute", "local", "--store", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_words_say_what_all_baselines_share_where_the_recipe_has_no_baseline():
    base = configure(quick(), ["--baseline.pool.cpus", "0.5", "--baseline.training.epochs=3", "--model.beam", "17"])
    assert base.model.beam == 17
    methods = find("main", base).methods
    shared = [method.recipe.baseline for method in methods if method.until == "baseline"]
    assert len(shared) > 2
    assert {(each.pool.cpus, each.training.epochs, each.training.patience) for each in shared} == {(0.5, 3, 10)}
    assert len({settings.fingerprint(settings.to_record(each.baseline)) for each in shared}) == len(shared)
    others = {method.name: method.until for method in methods if method.recipe.baseline is None}
    assert {"concat-hierarchical", "concat-tiger", "text-tiger", "concat-unigrec", "concat-etegrec"} <= set(others)
    assert set(others.values()) == {"metrics"}


def test_baselines_follow_the_models_machines_where_no_word_says_otherwise():
    words = ["--model.pool.cpus", "0.5"]
    assert configure(quick(), words) == recipes.configure(quick(), words)
    base = configure(quick(), [*words, "--baseline.batch_size", "9"])
    assert base.baseline == baseline.Config(pool=base.model.pool, batch_size=9)
    assert base.baseline.pool.cpus == 0.5


def test_a_recipes_own_baseline_is_what_baselines_share():
    own = replace(quick(), baseline=baseline.Config(baseline=popularity.Config(), batch_size=9))
    assert configure(own, []) == own
    found = configure(own, ["--baseline.valid_samples", "3"])
    assert with_baseline(found, gru4rec.Config()).baseline == baseline.Config(
        baseline=gru4rec.Config(), batch_size=9, valid_samples=3
    )


def test_settings_that_do_not_reach_a_method_are_named(tmp_path, capsys, monkeypatch):
    """TIGER beside the recommender over items is trained by a budget of its own."""
    monkeypatch.setattr(experiment_run, "run", lambda found, *rest: tmp_path)
    words = ["experiment", "recommenders", "--compute", "local", "--store", str(tmp_path), "--methods"]
    assert main([*words, "uqf-tiger", "uqf-hierarchical-ids", "sasrec", "--model.training.epochs", "3"]) == 0
    kept = [line for line in capsys.readouterr().out.splitlines() if "keeps its own" in line]
    assert kept == ["uqf-tiger keeps its own model.training.epochs 200, not 3"]


def test_help_shows_what_baselines_share(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["experiment", "main", "--dataset", RECIPE, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "--baseline.pool.cpus" in shown
    assert "--baseline.training.epochs" in shown


def test_help_is_there(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["experiment", "--help"])
    assert stop.value.code == 0
    assert "--dataset RECIPE" in capsys.readouterr().out
