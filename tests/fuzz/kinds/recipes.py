"""Files of recipes that go wrong: as text, as modules, as functions; the message names the file and the fault."""

import random
import re
from pathlib import Path

from tests.fuzz.kinds.commands import without_machines
from tests.fuzz.outcomes import BreachError, command

IN_CI = 120
SHARE = 5
GOOD = '''"""A recipe."""
from dataclasses import replace

from tests.end_to_end.recipes import tiny
from unisid.planning import Recipe
from unisid.stages import catalog


def mine() -> Recipe:
    """Small."""
    return tiny("mine")
'''
BODIES = (
    "return None",
    "return 5",
    'return "tiny"',
    "return Recipe",
    "return [tiny()]",
    "return {'name': 'x'}",
    "pass",
    "yield tiny()",
    "raise ValueError('bad day')",
    "raise ValueError",
    "raise KeyError('name')",
    "raise SystemExit(3)",
    "raise SystemExit",
    "import sys; sys.exit('over')",
    "return mine()",
    "return 1 / 0",
    "return undefined",
    "import nothing_of_this_name",
    "assert False",
    "return replace(tiny('x'), nme='y')",
    "return replace(tiny('x'), name=5)",
    "return replace(tiny('x'), name='a b')",
    "return replace(tiny('x'), name='')",
    "return replace(tiny('x'), name='../x')",
    "return replace(tiny('x'), version=1)",
    "return replace(tiny('x'), catalog=None)",
    "return replace(tiny('x'), catalog=5)",
    "return replace(tiny('x'), catalog=catalog)",
    "return replace(tiny('x'), catalog=catalog.Config)",
    "return replace(tiny('x'), catalog=tiny('x').graph)",
    "return Recipe(catalog=catalog.Config(k_cor=5))",
    "return Recipe(catalog=catalog.Config(k_core='5'))",
    "return Recipe(catalog=catalog.Config(k_core=5.5))",
    "return Recipe(catalog=catalog.Config(k_core=float('nan')))",
    "return Recipe(catalog=catalog.Config(text='title'))",
    "return Recipe(catalog=catalog.Config(dataset='tables'))",
    "return Recipe('x')",
    "return Recipe(note=b'x')",
    "raise Exception('\\x1b[31mred\\nlines')",
    "raise RecursionError",
    "raise MemoryError",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "open('none.txt')",
)
HEADS = (
    "import nothing_of_this_name",
    "from unisid import nothing",
    "from unisid.pipeline import Recipes",
    "1 / 0",
    "raise SystemExit(0)",
    "x = (",
    "\tx = 1",
    "x = 1\n  y = 2",
    "print 'x'",
    "'\\ud800'",
    "import sys; sys.exit(2)",
    "from __future__ import annotations",
    "from .sibling import x",
    "def mine(: pass",
    "é = 1",
    "assert False, 'no'",
    "import os; os.chdir('/nowhere')",
    "\x00",
    "# coding: nothing-like-this",
    "raise ValueError('\\x1b[31m')",
)
SIGNATURES = (
    "def mine(x) -> Recipe:",
    "def mine():",
    "def mine() -> 'Recipe':",
    "def mine() -> None:",
    "def mine(*, name) -> Recipe:",
    "async def mine() -> Recipe:",
    "def mine(x=1) -> Recipe:",
    "def other() -> Recipe:",
    "def _mine() -> Recipe:",
    "class mine(Recipe):",
    "mine: Recipe = tiny('x')\ndef other() -> int:",
    "def mine() -> Recipe | None:",
    "@staticmethod\ndef mine() -> Recipe:",
    "mine = lambda: tiny('x')\ndef other():",
)
NAMES = (
    "recipe.py",
    "my recipe.py",
    "2nd.py",
    "ré.py",
    "json.py",
    "unisid.py",
    "a.b.py",
    "folder/recipe.py",
    "recipe.txt",
    "torch.py",
)
TARGETS = ("mine", "", "mine:mine", "mien", "other", "_mine", "tiny", "Recipe", "mine()", "é")


SETTING = re.compile(r"error: (recipe|catalog)\.\w+: |error: address '|error: catalog: ")


class Ground:
    """A folder for the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "folder").mkdir()
        (folder / "is_a_folder.py").mkdir()

    def attempt(self, chance: random.Random, note: list[str]) -> bool:
        path = self.folder / (chance.choice(NAMES) if chance.random() < 0.3 else "recipe.py")
        text, target = self._text(chance), "mine" if chance.random() < 0.8 else chance.choice(TARGETS)
        data = text.encode("utf8", "surrogatepass")
        if chance.random() < 0.08:
            data = chance.choice(
                [
                    b"",
                    b"\xff\xfe" + text.encode("utf-16-le"),
                    data[: chance.randrange(len(data))],
                    chance.randbytes(200),
                    data.replace(b"A recipe", b"A r\xe9cipe"),
                    b"\xef\xbb\xbf" + data,
                ]
            )
        path.write_bytes(data)
        words = [f"{path}:{target}"]
        if chance.random() < 0.06:
            words = [
                chance.choice(
                    [
                        f"{path}",
                        f"{path}x:mine",
                        f"{self.folder}/is_a_folder.py:mine",
                        ":mine",
                        ".py:mine",
                        f"{path}:",
                        "/dev/null.py:mine",
                        f"{self.folder}/none.py:mine",
                    ]
                )
            ]
        note.append(f"{words[0].rpartition('/')[2]}: {data[:60]!r} ... {data[-250:]!r}")
        try:
            with without_machines():
                said = command(
                    ["plan", *words, "--until", "catalog", "--store", str(self.folder / "store")], quoting=True
                )
        finally:
            path.unlink()
        named = path.name in said.err or "mine" in said.err or SETTING.match(said.err)
        if said.code == 1 and path.name in words[0] and not named:
            raise BreachError(f"neither the file nor the recipe nor a setting is named: {said.err}")
        return said.code == 0

    def _text(self, chance: random.Random) -> str:
        text = GOOD
        for act in chance.sample(["body", "head", "signature"], chance.choice([0, 1, 1, 1, 2])):
            if act == "body":
                text = text.replace('return tiny("mine")', chance.choice(BODIES))
            elif act == "head":
                lines = text.split("\n")
                lines.insert(chance.choice([1, 6]), chance.choice(HEADS))
                text = "\n".join(lines)
            else:
                text = text.replace("def mine() -> Recipe:", chance.choice(SIGNATURES))
        return text
