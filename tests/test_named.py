"""Recipes and experiments of one's own, in files: what is wrong with one is named with its file and line."""

import pytest

from unisid import recipes
from unisid.errors import ConfigError, DataError
from unisid.experiments import definition

GOOD = """
from unisid.planning import Recipe


def shop() -> Recipe:
    return Recipe(name="shop")
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_a_recipe_of_ones_own(written):
    assert recipes.find(f"{written(GOOD)}:shop").name == "shop"


def test_annotations_may_be_kept_as_texts(written):
    assert recipes.find(f"{written('from __future__ import annotations' + GOOD)}:shop").name == "shop"
    quoted = GOOD.replace("-> Recipe", "-> 'Recipe'").replace("shop()", "shop(more: 'no such type' = 1)")
    assert recipes.find(f"{written(quoted)}:shop").name == "shop"


def test_a_path_may_hold_a_colon_and_blanks(written):
    assert recipes.find(f"{written(GOOD, 'my: recipes.py')}:shop").name == "shop"


BODY = "from unisid.pipeline import Recipe\n\n\ndef shop() -> Recipe:\n    {}\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("def shop( -> Recipe:\n", "shop", r"file '.*mine.py', line 1: is no Python \(.*\)"),
        ("x = 1\n  y = 2\n", "shop", r"line 2: is no Python \(unexpected indent\)"),
        (b"x = '\xff'\n", "shop", r"mine.py', line 1?.*: is no Python"),
        (b"\0", "shop", r"mine.py'.*null bytes"),
        (
            "\nimport no_such_module\n",
            "shop",
            r"line 2: raises ModuleNotFoundError \(No module named 'no_such_module'\)",
        ),
        ("from unisid.pipeline import Recipes\n", "shop", r"line 1: raises ImportError \(cannot import name 'Recipes'"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "shop", r"line 2: raises ZeroDivisionError"),
        ("raise SystemExit('no')\n", "shop", r"line 1: raises SystemExit \(no\)"),
        ("import sys\n\n\nsys.exit(3)\n", "shop", r"line 4: raises SystemExit"),
        ("", "shop", r"'.*mine.py:shop': not known; known: none; each is written as def shop\(\.\.\.\) -> Recipe:"),
        (GOOD, "shoop", r":shoop': not known; did you mean 'shop'\?; known: shop"),
        (GOOD, "", r"mine.py:': not known; known: shop"),
        (GOOD, None, r"mine.py:': not known; known: shop"),
        (
            GOOD.replace(" -> Recipe", ""),
            "shop",
            r":shop': does not say that it returns a Recipe; must be written as def",
        ),
        (GOOD.replace("-> Recipe", "-> int"), "shop", r"does not say that it returns a Recipe"),
        (GOOD + "\nmine = shop()\n", "mine", r":mine': is a Recipe itself; must be a function that returns one"),
        (GOOD + "\nmine = 3\n", "mine", r":mine': is 3; must be a function: def mine"),
        (BODY.format("return None"), "shop", r":shop': returns NoneType; must return a Recipe"),
        (BODY.format("yield Recipe()"), "shop", r":shop': returns generator; must return a Recipe"),
        (BODY.format("return Recipe"), "shop", r":shop': returns type; must return a Recipe"),
        (BODY.format("return {}['x']"), "shop", r":shop', line 5: raises KeyError \('x'\)"),
        (
            BODY.format("return Recipe(nmae='x')"),
            "shop",
            r"line 5: raises TypeError \(.*unexpected keyword argument 'nmae'",
        ),
        (BODY.format("return Recipe(name=3)"), "shop", r"recipe.name: is 3; must be a text"),
        (BODY.format("raise SystemExit(1)"), "shop", r":shop', line 5: raises SystemExit \(1\)"),
        (BODY.format("return shop()"), "shop", r":shop', line 5: raises RecursionError"),
        (
            BODY.replace("shop()", "shop(size, more=2)"),
            "shop",
            r":shop': takes 2 arguments, \(size, more=2\) .*must take none",
        ),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(written, text, name, message):
    path = written(text)
    with pytest.raises(ConfigError, match=message):
        recipes.find(path if name is None else f"{path}:{name}")


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"recipe file '.*absent.py': is not there; must be a Python file"):
        recipes.find(f"{tmp_path}/absent.py:shop")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ConfigError, match=r"recipe file '.*folder.py': is a folder"):
        recipes.find(f"{tmp_path}/folder.py:shop")


@pytest.mark.parametrize("name", ["demoo", "", ":", "demo:demo", "x:y.py", "jobs.recipes.demo", "../demo"])
def test_a_name_of_no_recipe(name):
    with pytest.raises(ConfigError, match=r"recipe '.*': not known.*known: .*demo|is not there"):
        recipes.find(name)


def test_an_error_of_ours_in_a_recipe_stays_as_it_is(written):
    body = "from unisid.errors import DataError\n" + BODY.format("raise DataError('x: is wrong; must be right')")
    with pytest.raises(DataError, match="^x: is wrong; must be right$"):
        recipes.find(f"{written(body)}:shop")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            BODY.format("return tiny('x')").replace("def shop", "async def shop"),
            "does not say that it returns a Recipe",
        ),
        (
            BODY.format("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()"),
            "line .*: raises Odd; must",
        ),
    ],
)
def test_a_coroutine_and_an_error_that_cannot_be_shown_are_refused(written, body, message):
    with pytest.raises(ConfigError, match=message):
        recipes.find(f"{written(body)}:shop")


def test_experiments_are_named_the_same_way(written):
    base = recipes.find("demo")
    text = "from unisid.experiments.definition import Experiment\n\n\ndef mine() -> Experiment:\n    return None\n"
    with pytest.raises(ConfigError, match=r"experiment '.*:mine': takes 0 arguments, .*; must take 1, the recipe"):
        definition.find(f"{written(text)}:mine", base)
    with pytest.raises(ConfigError, match=r"experiment '.*:mine': returns NoneType; must return a Experiment"):
        definition.find(f"{written(text.replace('mine()', 'mine(base)'))}:mine", base)
