"""A shop whose ids, titles, columns and file names try everything: what a person sees of it, walked from end to end."""

import html
import re
import unicodedata

import pytest

from tests.test_cli import RECIPE
from unisid import cli, pipeline
from unisid.cli.session import Session
from unisid.printable import printable
from unisid.report import charts, search_plots
from unisid.report.experiment import _rows
from unisid.versions.compare import table

EVIL = "\x1b[2J\x9b\u202eevil\u2066\u200b\x07"
BREAK = "\nerror: forged"
HONEST = "日本語 مرحبا 👩\u200d🍳"
ID = f"i0{EVIL}"
NAME = "rows\u202e\x1b[31m.csv"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a recipe over tables full of such characters, and its store with everything up to the codes."""
    folder = tmp_path_factory.mktemp("shop")
    recipe = RECIPE.replace('"{folder}/rows.csv"', repr(f"{folder}/{NAME}")).replace("{folder}", str(folder))
    (folder / "recipe.py").write_text(recipe, encoding="utf-8")
    rest = "".join(f"i{n},thing {n} {HONEST},x\n" for n in range(1, 8))
    items = f'item_id,title,"brand{EVIL}"\n"{ID}","pen{EVIL}{BREAK}",x\n{rest}'
    ids = [ID, *(f"i{n}" for n in range(1, 8))]
    rows = "".join(f"u{u}{EVIL},{ids[(u + n) % 8]},{n}\n" for u in range(6) for n in range(5))
    (folder / "items.csv").write_text(items, encoding="utf-8")
    (folder / NAME).write_text(f"user_id,item_id,timestamp\n{rows}", encoding="utf-8")
    return folder


@pytest.fixture
def unisid(shop, monkeypatch, capsys):
    """Runs a command; returns the exit code and both outputs, once they are seen to be harmless."""
    monkeypatch.setattr(Session, "tracker", lambda session: pipeline.NullTracker())

    def unisid(*words):
        code = cli.main([*words, "--store", str(shop / "store")])
        out, complaint = capsys.readouterr()
        for text in (out, complaint):
            assert_harmless(text)
        return code, out, complaint

    return unisid


def assert_harmless(text):
    found = {char for char in text if char not in "\n\t\u200d" and unicodedata.category(char) in ("Cc", "Cf", "Cs")}
    assert not found, sorted(map(ascii, found))
    assert not any(line.startswith("error: forged") for line in text.splitlines())


def test_every_output_of_the_terminal(shop, unisid):
    recipe = f"{shop}/recipe.py:shop"
    code, out, complaint = unisid("run", recipe, "--compute", "local", "--until", "codes", "--fused.fusion", "concat")
    assert (code, complaint) == (0, "")
    assert HONEST in out
    code, out, _ = unisid("items")
    assert code == 0
    assert out.count("\n") == 9
    assert f"pen{printable(EVIL)} error: forged" in out
    assert f"thing 3 {HONEST}" in out
    for words in (
        ("sid", ID),
        ("list",),
        ("show", "catalog/shop/1"),
        ("show", "codes/shop/1"),
        ("plan", recipe),
        ("show", "codes/shop/1", "--json"),
        ("index", "compare", "codes/shop/1", "codes/shop/1"),
    ):
        code, out, _ = unisid(*words)
        assert code == 0
        assert out
    for words in (
        ("sid", f"none{EVIL}{BREAK}"),
        ("items", "--title", f"no{EVIL}"),
        ("show", f"codes/{EVIL}{BREAK}/1"),
        ("run", f"absent{EVIL}{BREAK}"),
        ("run", f"{shop}/{EVIL}{BREAK}.py:f"),
        ("plan", recipe, f"--catalog.{EVIL}{BREAK}", "1"),
    ):
        code, _, complaint = unisid(*words)
        assert code == 1
        assert "\\u202e" in complaint
        assert re.match(r"(codes/shop/1 \(.+\) answers\n)?error: ", complaint)
    (shop / NAME).write_text(f"user_id,item_id,timestamp\nu1,{ID}{BREAK[1:]},now{EVIL}\n", encoding="utf-8")
    code, _, complaint = unisid("run", recipe, "--compute", "local", "--until", "catalog", "--name", "other")
    assert code == 1
    assert "rows\\u202e\\x1b[31m.csv" in complaint
    report_is_harmless(shop)


def report_is_harmless(shop):
    """The page, its markup resolved as a browser does, and what its script is given."""
    page = (shop / "store/reports/shop/1/report.html").read_text(encoding="utf-8")
    assert HONEST in page
    assert "pen\\\\x1b[2J\\\\x9b\\\\u202eevil" in page  # as JSON spells it
    for text in (page, html.unescape(page)):
        assert_harmless(text)


def test_an_index_compared_with_another_shows_ids_in_one_line():
    side = {
        "address": "codes/a/1",
        "items": 1,
        "filled": 1.0,
        "fullest_prefix": 1,
        "moved_share": 0.0,
        "distinct_share": 1.0,
        "usage": [1.0],
        "entropy": [1.0],
    }
    example = {"item_id": ID + BREAK, "left": "<a_1>", "right": "<a_2>"}
    found = {
        "indexes": [side, side],
        "items": {"both": 1, "only_left": 0, "only_right": 0},
        "changed": 1.0,
        "changed_prefix": [1.0],
        "examples": [example],
    }
    assert_harmless(table(found))


def test_markdown_and_plots():
    assert_harmless(_rows([["method", "HR"], [EVIL + BREAK, "1"]]))
    assert_harmless(search_plots._label(EVIL))
    means = {
        EVIL: {
            rule: {f"{m}@5": {"mean": 0.5, "low": 0.4, "high": 0.6} for m in ("HR", "NDCG")}
            for rule in ("excluded", "allowed")
        }
    }
    for svg in charts.svgs(charts.metric_bars(means, [EVIL], 5)):
        assert_harmless(html.unescape(svg))
