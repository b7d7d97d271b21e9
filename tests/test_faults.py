"""What the machine lacks is one line with exit code 1; a fault of the program keeps its traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unisid import cli
from unisid.cli.flow import Recipes
from unisid.faults import in_words

ROOT = Path(__file__).parents[1]


def system(number, *names):
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (system(errno.EACCES, "/a/b"), "/a/b: Permission denied; rights to read and write it are needed"),
        (system(errno.ENOSPC, "/tmp/x"), "/tmp/x: No space left on device; free space is needed there"),
        (system(errno.ENOSPC), "this machine: No space left on device; free space is needed there"),
        (system(errno.ENOENT, "a\nerror: b\x1b", None, "c"), "a\n  error: b\\x1b -> c: No such file or directory; it "),
        (system(errno.EMFILE), "this machine: Too many open files; more open files must be allowed (ulimit -n)"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/t']"), "; set TMPDIR to a folder that can"),
        (RuntimeError("Could not determine home directory."), "home folder: is not known"),
        (RuntimeError("can't start new thread"), "threads: can't start new thread; more processes must be allowed"),
        (MemoryError("12 GB"), "memory: there is not enough (12 GB); smaller batches"),
        (ModuleNotFoundError("No module named 'peft'", name="peft"), "package 'peft': is not installed"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "this machine: Connection refused"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_machine_lacks_is_said_in_words(error, words):
    assert words in in_words(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ValueError("x"),
        RuntimeError("x"),
        AssertionError(),
        IndexError(),
        ModuleNotFoundError("No module named 'unisid.x'", name="unisid.x"),
    ],
)
def test_the_rest_is_a_fault_of_the_program(error):
    assert in_words(error) is None


def ended(monkeypatch, capsys, error):
    def act(known):
        raise error

    monkeypatch.setattr(Recipes, "act", act)
    return cli.main(["recipes"]), capsys.readouterr().err


def test_a_fault_of_the_program_is_told_from_an_error_of_the_user(monkeypatch, capsys):
    code, complaint = ended(monkeypatch, capsys, KeyError("\x1b[31mcolumn"))
    assert code == 70
    first, *_, last = complaint.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("error: this is a fault of unisid ")
    assert "please report it" in last
    assert "\x1b" not in complaint
    code, complaint = ended(monkeypatch, capsys, system(errno.EACCES, "/a"))
    assert (code, complaint) == (1, "error: /a: Permission denied; rights to read and write it are needed\n")


def test_every_traceback_can_be_had(monkeypatch, capsys):
    monkeypatch.setenv("UNISID_TRACEBACK", "1")
    code, complaint = ended(monkeypatch, capsys, system(errno.EACCES, "/a"))
    assert code == 1
    assert complaint.startswith("Traceback (most recent call last):")
    assert complaint.endswith("error: /a: Permission denied; rights to read and write it are needed\n")


def command(*words, cwd=ROOT, before="", **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "RAY_ADDRESS"))}
    kept["PYTHONPATH"] = f"{ROOT}/platform:{ROOT}"
    program = ["bash", "-c", f'{before} exec "$@"', "bash", sys.executable, "-m", "unisid.cli", *map(str, words)]
    done = subprocess.run(program, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_folder_that_is_gone_under_the_command(tmp_path):
    code, _, complaint = command("list", cwd=tmp_path, before='mkdir x; cd x; rmdir "$PWD";')
    assert (code, complaint) == (1, "error: current folder: is gone or cannot be read; change to one that is there\n")


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("show", "codes/a/1"),
        ("drop", "codes/a/1"),
        ("sid", "i"),
        ("items",),
        ("recommend", "--user", "u"),
        ("plan", "demo"),
        ("run", "demo"),
        ("sync", "demo"),
        ("promote", "codes/a/1"),
        ("index", "compare", "codes/a/1", "codes/b/1"),
    ],
)
def test_a_store_that_is_a_file_is_refused_by_all_commands_alike(tmp_path, capsys, words):
    (tmp_path / "file").write_text("no folder")
    assert cli.main([*words, "--store", str(tmp_path / "file")]) == 1
    assert f"error: store '{tmp_path}/file': is a file; a folder is needed, or a URI" in capsys.readouterr().err


def test_a_store_with_nothing_in_it_says_so(tmp_path, capsys):
    assert cli.main(["list", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", f"store '{tmp_path}': holds no artifacts; unisid run RECIPE makes them\n")
    assert cli.main(["list", "--store", str(tmp_path / "none")]) == 1
    assert f"error: store '{tmp_path}/none': is not there; a run makes it" in capsys.readouterr().err
    assert cli.main(["list", "--store", ""]) == 1
    assert "error: store '': no folder is named" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every folder is open")
def test_a_store_that_may_not_be_read_says_so(tmp_path, capsys):
    (tmp_path / "catalog" / "a").mkdir(parents=True)
    for closed in (tmp_path / "catalog" / "a", tmp_path):
        closed.chmod(0)
        code = cli.main(["list", "--store", str(tmp_path)])
        closed.chmod(0o700)
        assert code == 1
        assert "cannot be read" in capsys.readouterr().err
