"""A forked command is what a new process would be: words, environment, folder, streams, exit code, signals."""

import os
import signal
import subprocess
import sys

import pytest

from tests import forked
from tests.end_to_end import waiting
from unisid.artifacts.store import Place

ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "RAY_ADDRESS"))}
RECIPE = "tests/end_to_end/recipes.py:tiny"


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("--version",), {}),
        (("plan", "shop.py:shop", "--until", "nothing"), {}),
        (("show", "codes/a/1"), {"UNISID_TRACEBACK": "1"}),
        (("recipes",), {"COLUMNS": "40"}),
    ],
)
def test_it_does_what_a_new_process_does(tmp_path, words, environment):
    command = [sys.executable, "-m", "unisid.cli", *words]
    env = ENV | environment | {"PYTHONPATH": f"{forked.ROOT}/platform:{forked.ROOT}"}
    new = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    found = forked.run(*words, cwd=tmp_path, env=env)
    assert (found.returncode, found.stdout) == (new.returncode, new.stdout)
    assert found.stderr.splitlines()[-1:] == new.stderr.splitlines()[-1:]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_it_is_reached_by_signals_under_its_own_number(tmp_path, number, code):
    held = waiting.write(tmp_path, waiting.TRAINING)
    words = ("run", f"{held.file}:tiny", "--until", "model", "--compute", "local", "--store", str(tmp_path / "s"))
    process = forked.begin(*words, env=ENV, start_new_session=True)
    while not Place.of(tmp_path / "s").exists():
        assert process.poll() is None
    assert os.getsid(process.pid) == process.pid
    process.send_signal(number)
    assert process.wait(60) == code
    assert process.poll() == code
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.parametrize(("handler", "code"), [(signal.SIG_IGN, 143), (signal.default_int_handler, 130)])
def test_it_ignores_what_this_process_ignores_now(tmp_path, handler, code):
    """Whatever the server had to ignore when it was begun."""
    held = waiting.write(tmp_path, waiting.TRAINING)
    words = ("run", f"{held.file}:tiny", "--until", "model", "--compute", "local", "--store", str(tmp_path / "s"))
    before = signal.signal(signal.SIGINT, handler)
    try:
        process = forked.begin(*words, env=ENV, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    while not Place.of(tmp_path / "s").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    if handler is signal.SIG_IGN:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == code


def test_one_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run("run", RECIPE, "--compute", "local", "--store", str(tmp_path), env=ENV, timeout=0.5)
