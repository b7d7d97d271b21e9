"""The streams of a command: readers that leave, streams that are closed, encodings that lack characters."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.test_cli import ITEMS, RECIPE, ROWS
from unisid import cli
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.cli.flow import Recipes
from unisid.console import Console, styled

ROOT = Path(__file__).parents[1]
ANSWERS = "codes/shop/1 (promoted under 'shop') answers\n"
"""What a command that reads an index says aside."""
ODD = "i0,Crème brûlée 日本 👩\u200d🍳\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a recipe of a small shop, and a store with its index."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "recipe.py").write_text(RECIPE.format(folder=folder))
    (folder / "items.csv").write_text(ITEMS.replace("i0,thing 0\n", ODD), encoding="utf-8")
    (folder / "rows.csv").write_text(ROWS)
    words = ("run", f"{folder}/recipe.py:shop", "--until", "codes", "--compute", "local", "--fused.fusion", "concat")
    done = unisid(*words, "--store", folder / "store")
    assert done.returncode == 0, done.stderr
    return folder


def unisid(*words, shell="", **environment):
    """A command in a process of its own; `shell` is what a shell adds, such as a redirection."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "RAY_ADDRESS"))}
    if not shell and not environment:
        return forked.run(*map(str, words), env=kept, timeout=300)
    new = environment or "&-" in shell  # encodings and closed streams are found when Python begins
    command = [sys.executable, "-m", "unisid.cli", *map(str, words)] if new else forked.client(*map(str, words))
    script = ["bash", "-c", f'"$@" {shell}', "bash", *command] if shell else command
    return subprocess.run(
        script,
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        check=False,
        timeout=300,
        encoding="utf-8",
        errors="replace",
    )


def run_words(shop, store):
    return ("run", f"{shop}/recipe.py:shop", "--until", "catalog", "--compute", "local", "--store", shop / store)


def is_made(shop, store):
    return read_record(Store(Place.of(shop / store)).place(Address("catalog", "shop", "1"))) is not None


LEFT = "| true; exit ${PIPESTATUS[0]}"


@pytest.mark.parametrize(
    ("shell", "complaint"),
    [
        (LEFT, "note: standard output is gone (Broken pipe); the work goes on without it\n"),
        (f"2>&1 {LEFT}", ""),
        ("<&- >&- 2>&-", ""),
        ("> /dev/full", "note: standard output is gone (No space left on device); the work goes on without it\n"),
    ],
)
def test_what_makes_something_goes_on_without_its_console(shop, shell, complaint):
    store = f"store-{abs(hash(shell))}"
    done = unisid(*run_words(shop, store), shell=shell)
    assert (done.returncode, done.stderr) == (0, complaint)
    assert is_made(shop, store)


@pytest.mark.parametrize("words", [("items",), ("run", "--help"), ("--help",), ("index", "--help")])
def test_what_only_prints_ends_with_its_reader(shop, words):
    done = unisid(*words, *(() if "--help" in words else ("--store", shop / "store")), shell=LEFT)
    assert (done.returncode, done.stderr) == (141, "" if "--help" in words else ANSWERS)


def test_the_reader_of_a_few_lines_gets_them(shop):
    done = unisid("items", "--store", shop / "store", shell="| head -1")
    assert (done.stdout.split(), done.stderr) == (["item", "semantic", "id", "title"], ANSWERS)


def test_an_output_that_cannot_be_written_is_an_error(shop):
    done = unisid("items", "--store", shop / "store", shell="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == ANSWERS + (
        "error: standard output: cannot be written (No space left on device); another place is needed\n"
    )


def test_an_error_without_a_place_for_it_is_still_an_exit_code(shop):
    done = unisid("sid", "absent", "--store", shop / "store", shell="2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_a_terminal_that_lacks_characters_shows_their_escapes(shop, environment):
    done = unisid("items", "--store", shop / "store", **environment)
    assert (done.returncode, done.stderr) == (0, ANSWERS)
    assert done.stdout.count("\n") == 9
    assert "\\u65e5\\u672c" in done.stdout


def test_a_whole_run_and_its_errors_need_no_terminal_that_has_all_characters(shop):
    done = unisid(*run_words(shop, "ascii"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    done = unisid("sid", "日本", "--store", shop / "store", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert done.stderr.removeprefix(ANSWERS).startswith("error: item '\\u65e5\\u672c': not in")


def test_what_an_encoding_lacks_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(stream, "standard output").write("Café\x1b\n")
    stream.flush()
    assert stream.buffer.getvalue() == b"Caf\\xe9\\x1b\n"


def test_only_a_library_that_draws_may_write_escapes(monkeypatch):
    stream = io.StringIO()
    console = Console(stream, "standard output")
    monkeypatch.setattr(sys, "stdout", console)
    with styled():
        print("\x1b[1mbold\x1b[0m\x1b[2J")
    print("\x1b[1m")
    assert stream.getvalue() == "\x1b[1mbold\x1b[0m\\x1b[2J\n\\x1b[1m\n"


@pytest.mark.parametrize(("words", "code"), [(("--help",), 0), (("--codes.tokenizer.num_levels", "many"), 2)])
def test_help_and_wrong_words_have_their_colours_on_a_terminal(words, code):
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color"}
    command = [sys.executable, "-m", "unisid.cli", "plan", "demo", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # so a terminal ends
            while piece := os.read(ours, 1 << 16):
                seen += piece
    os.close(ours)
    assert process.returncode == code
    assert b"\x1b[" in seen
    assert b"\\x1b" not in seen


def test_a_broken_pipe_elsewhere_is_an_error(monkeypatch, capsys):
    """A server that hangs up is no reader that left."""

    def act(known):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Recipes, "act", act)
    assert cli.main(["recipes"]) == 1
    assert capsys.readouterr().err == "error: this machine: Broken pipe; the machine must allow it\n"
