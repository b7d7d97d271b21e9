"""Chapter 6 of the thesis from one call: what stands in it, and a small one of planted data with tables and figures."""

import re
from dataclasses import replace

import pytest

from jobs.experiments.chapter import thesis
from jobs.experiments.thesis import FIRST, both_families
from jobs.recipes.demo_llm import demo_llm
from jobs.recipes.thesis import TASKS, thesis_office
from tests.end_to_end.recipes import tiny
from unisid.artifacts.store import Place, Store
from unisid.cli import main
from unisid.errors import ConfigError, DataError
from unisid.experiments import series as made
from unisid.experiments.definition import Chapter, Experiment, Method, Series, find, ready
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import InTurn
from unisid.trials.telling import NullExperimentTracker

SOURCES = ("text", "graph", "concat", "letter", "uqf")


def test_every_table_and_figure_of_the_chapter_has_its_place():
    chapters = thesis(tiny()).chapters
    told = " ".join([chapter.title for chapter in chapters] + [t for c in chapters for t in c.figures.values()])
    assert set(re.findall(r"6\.\d", told)) == {f"6.{n}" for n in range(1, 7)}
    for name in ("Table 6.1", "6.2 and 6.3", "Table 6.4", *(f"Figure 6.{n}" for n in range(1, 7))):
        assert name in told
    rules = [t for chapter in chapters for t in chapter.figures.values() if "history" in t]
    assert sum("allowed" in rule for rule in rules) == sum("excluded" in rule for rule in rules) > 0


def test_one_table_holds_every_source_for_both_families():
    table = next(c.experiment for c in thesis(thesis_office()).chapters if c.experiment.name == "families")
    assert [m.name for m in table.methods] == [f"{s}-{f}" for f in ("lcrec", "tiger-llm") for s in SOURCES]
    tasks = {m.name.partition("-")[2]: tuple(m.recipe.instructions.tasks) for m in table.methods}
    assert tasks == {"lcrec": TASKS, "tiger-llm": FIRST}


def test_a_base_of_one_task_gets_all_of_them_beside_it_and_tiger_the_recommender_over_items():
    assert [tuple(each.instructions.tasks) for each in both_families(demo_llm())] == [FIRST, TASKS]
    assert [each.model.backbone.kind for each in both_families(tiny())] == ["tiger", "hierarchical"]


def test_methods_of_one_name_are_one_recipe_wherever_they_stand():
    """So that a cell that several tables have is made once."""
    for base in (tiny(), thesis_office()):
        rows: dict[str, Method] = {}
        for chapter in thesis(base).chapters:
            for method in chapter.experiment.methods:
                known = rows.setdefault(method.name, method)
                assert known.recipe == method.recipe, method.name


def test_it_is_listed_and_found_and_refuses_unknown_methods(capsys):
    assert isinstance(find("thesis", tiny()), Series)
    assert "thesis" in ready()
    assert main(["experiment"]) == 0
    assert re.search(r"^thesis +Chapter 6", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(ConfigError, match=r"series thesis: has no method 'uqf-tigre'; did you mean 'uqf-tiger'"):
        thesis(tiny()).only(["uqf-tigre"])
    assert [c.experiment.name for c in thesis(tiny()).only(["w_s-0", "w_s-1"]).chapters] == ["sensitivity"]


def test_a_series_has_experiments_and_each_once():
    with pytest.raises(ConfigError, match=r"series mine: has no experiments"):
        Series(name="mine", question="?", chapters=())
    one = Chapter(Experiment(name="a", question="?", methods=(Method("m", tiny()),)), "Table 1")
    with pytest.raises(ConfigError, match=r"series mine: a is in it twice; rename one"):
        Series(name="mine", question="?", chapters=(one, one))


def test_what_is_missing_is_named_and_the_rest_has_its_page(tmp_path, monkeypatch):
    """The first experiment fails, the second writes a table and one of its two figures."""
    store = Store(Place.of(tmp_path))
    method = Method("m", tiny())
    series = Series(
        name="mine",
        question="Which?",
        chapters=(
            Chapter(Experiment(name="a", question="?", methods=(method,)), "Table 1", {"line": "Figure 1"}),
            Chapter(
                Experiment(name="b", question="?", methods=(method,)),
                "Table 2",
                {"line": "Figure 2", "bars": "Figure 3"},
            ),
        ),
    )

    def run(own, base, *_):
        if own.name == "a":
            raise DataError("experiment a: 1 of 1 cells failed")
        folder = store.root / "experiments" / f"{base.name}-{own.name}"
        folder.write("table.md", b"# b\n\nWhich is best?\n")
        folder.write("line.png", b"")

    monkeypatch.setattr(made, "run", run)
    said: list[str] = []
    with pytest.raises(DataError, match=r"series mine: 1 of 2 experiments lack cells; .*\n.*1 of 1 cells failed"):
        made.run_series(series, tiny(), [1], store, LocalCompute(), InTurn(), NullExperimentTracker(), said.append)
    page = (store.root / "experiments" / "tiny-mine").read("page.md").decode()
    assert "## Table 1\n\n`experiment a`: no cell is complete.\n\nFigure 1: not drawn" in page
    assert "`experiment b`. Which is best?" in page
    assert "Figure 2: ![Figure 2](../tiny-b/line.png)\n\nFigure 3: not drawn" in page
    assert "page.md" in said[-1]


@pytest.mark.slow
def test_a_small_chapter_is_made_from_planted_data(tmp_path):
    base = tiny()
    learning = replace(base.model.training, epochs=1)
    base = replace(base, model=replace(base.model, samples_per_epoch=100, training=learning))
    series = thesis(base).only(["text-tiger", "uqf-tiger", "w_s-0", "w_s-0.4"])
    said: list[str] = []
    store = Store(Place.of(tmp_path))
    folder = made.run_series(series, base, [1], store, LocalCompute(), InTurn(), NullExperimentTracker(), said.append)
    page = folder.read("page.md").decode()
    assert "not drawn" not in page
    assert "no cell is complete" not in page
    for figure in re.findall(r"\]\(\.\./([^)]+)\)", page):
        assert (tmp_path / "experiments" / figure).is_file()
    assert "uqf-tiger minus the other in the thesis's form (table 6.2)" in page
    assert [c.experiment.name for c in series.chapters if "Figure 6.2" in str(c.figures)] == ["sensitivity"]
    assert len([each for each in said if "experiment  " in each]) == len(series.chapters)
