"""SIGTERM ends a command as Ctrl-C does: it says what stays, and the same command goes on from there."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import forked
from tests.end_to_end import waiting
from tests.end_to_end.recipes import tiny
from unisid import cli, pipeline
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.cli import flow
from unisid.runtime.local import LocalCompute
from unisid.signals import ENDING, Terminated, deferred, kept, stoppable

ROOT = Path(__file__).parents[1]
EPOCHS = {"local": 14, "ray": 15}
"""Other settings, so that neither finds the other's model."""


def told():
    os.kill(os.getpid(), signal.SIGTERM)


def told_twice(ended):
    try:
        told()
    finally:
        told()
        ended.append(True)


def told_while_another_listens():
    """As `ray.init` does: it puts an exit of its own there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(signal.SIGTERM))
    told()


def told_after_another_listened():
    with kept():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(signal.SIGTERM))
    told()


@pytest.fixture(autouse=True)
def interruptible():
    """SIGINT and SIGHUP as a terminal has them: a shell has the one ignored for what it starts in the background, and
    `nohup` the other, by children too."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_signal_does_not_disturb_the_ending():
    before = signal.getsignal(signal.SIGTERM)
    ended = []
    with pytest.raises(Terminated), stoppable():
        told_twice(ended)
    assert ended
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_listens_goes_on_listening():
    with pytest.raises(Terminated), stoppable():
        told_after_another_listened()
    with pytest.raises(Terminated), kept():
        told_while_another_listens()
    with pytest.raises(SystemExit), kept():
        sys.exit(3)


@pytest.mark.parametrize(("stop", "code"), [(Terminated, 143), (KeyboardInterrupt, 130)])
def test_the_exit_code_names_what_stopped_it(monkeypatch, capsys, stop, code):
    def act(known):
        raise stop

    monkeypatch.setattr(flow.Recipes, "act", act)
    assert cli.main(["recipes"]) == code
    assert "interrupted: what is complete stays" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ImportError, SystemError, None])
def test_a_signal_stays_the_cause_whatever_a_library_makes_of_it(monkeypatch, capsys, number, code, error):
    """Ray turns what a handler raises into a KeyboardInterrupt, an import into an ImportError."""

    def act(known):
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except BaseException:
            if error is None:
                raise
            raise error("cut short") from None

    monkeypatch.setattr(flow.Recipes, "act", act)
    before = {each: signal.getsignal(each) for each in ENDING}
    assert cli.main(["recipes"]) == code
    assert capsys.readouterr().err == "interrupted: what is complete stays; the same command goes on from there\n"
    assert {each: signal.getsignal(each) for each in ENDING} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_comes_while_an_object_is_deleted_is_not_lost(monkeypatch, capsys, number):
    """Python drops what is raised in a `__del__`, such as that of a lock's file."""

    class Deleted:
        def __del__(self):
            os.kill(os.getpid(), number)
            time.sleep(1)

    def act(known):
        for _ in range(2):  # and while it is sent again
            Deleted()
        time.sleep(60)
        pytest.fail("it went on")

    monkeypatch.setattr(flow.Recipes, "act", act)
    before = sys.unraisablehook
    assert cli.main(["recipes"]) == 128 + number
    assert capsys.readouterr().err == "interrupted: what is complete stays; the same command goes on from there\n"
    assert sys.unraisablehook is before


def test_another_error_of_a_deleted_object_is_reported_as_ever(monkeypatch):
    class Deleted:
        def __del__(self):
            raise ValueError("of its own")

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(str(what.exc_value)))
    with stoppable():
        Deleted()
    assert told == ["of its own"]


def test_a_signal_that_is_ignored_stays_so(monkeypatch, capsys):
    """As `nohup` wants it."""
    monkeypatch.setattr(flow.Recipes, "act", lambda known: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert cli.main(["recipes"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_imports_is_one_message(number, tmp_path):
    """It comes with the import of a module that the command needs, which an exec of its own interrupts."""
    program = """if True:
        import os, sys
        from unisid.cli import main

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == sys.argv[1]:
                    exec("os.kill(os.getpid(), int(sys.argv[2]))")

        sys.meta_path.insert(0, Finder())
        sys.exit(main(["plan", "demo", "--store", sys.argv[3]]))
    """
    for module in ("unisid.artifacts.store", "unisid.planning", "torch"):
        words = [sys.executable, "-c", program, module, str(int(number)), str(tmp_path)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (128 + number, "")
        assert done.stderr == "interrupted: what is complete stays; the same command goes on from there\n"


def test_an_interrupt_before_anything_listens_is_silent():
    """In the first moment of all, while the command line itself is imported."""
    program = """if True:
        import os, sys

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == sys.argv[1]:
                    os.kill(os.getpid(), 2)

        sys.meta_path.insert(0, Finder())
        import unisid.cli
    """
    for module in ("unisid.console", "unisid.faults"):
        done = subprocess.run([sys.executable, "-c", program, module], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_of_what_is_run_from_text_is_still_an_exit_code(tmp_path):
    """Python itself would end by the signal: it takes the interrupt for one that was not handled."""
    (tmp_path / "cut.py").write_text(
        "import os, sys\nfrom unisid.cli import flow, main\n"
        "flow.Recipes.act = lambda self: exec('os.kill(os.getpid(), 2)')\nsys.exit(main(['recipes']))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/platform:{ROOT}:{tmp_path}"}
    done = subprocess.run([sys.executable, "-m", "cut"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr


def test_a_job_does_not_write_where_it_would_be_lost(monkeypatch, capsys):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert cli.main(["list", "--store", "runs"]) == 1
    assert "store 'runs': would lie in this job's own copy" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A store with all that a model of the tiny recipe needs."""
    store = tmp_path_factory.mktemp("store")
    pipeline.run(tiny(), Store(Place.of(store)), LocalCompute(), pipeline.NullTracker(), "sequences")
    return store


@dataclasses.dataclass(frozen=True)
class Training:
    """A run in the middle of a training, with a checkpoint behind it, in a process group of its own."""

    process: forked.Process
    words: tuple[str, ...]
    said: Path
    """The folder of its two streams."""
    held: waiting.Waiting
    model: Place

    def checkpoints(self) -> list[Path]:
        return list(Path(self.model.uri).parent.rglob("checkpoint-*/complete"))

    def ended(self) -> str:
        """What it said when it had ended by the signal that was sent."""
        self.process.wait(120)
        complaint = (self.said / "err").read_text()
        assert "interrupted: what is complete stays; the same command goes on from there" in complaint
        assert "Traceback" not in complaint
        assert read_record(self.model) is None
        return complaint


def training(store: Path, folder: Path, compute: str, name: str, epochs: int) -> Training:
    held = waiting.write(folder, waiting.TRAINING)
    patience = ("--model.training.epochs", str(epochs), "--model.training.patience", "50")
    words = ("run", f"{held.file}:tiny", "--name", name, "--until", "model", "--store", str(store), *patience)
    often = ("--compute", compute, "--model.training.checkpoint_seconds", "0")
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = forked.begin(*words, *often, env=environment(), out=out, err=err, start_new_session=True)
    model = Store(Place.of(store)).place(Address("model", name, "1"))
    found = Training(process, words, folder, held, model)
    while not found.checkpoints():
        assert process.poll() is None, (folder / "err").read_text()
        time.sleep(0.1)
    return found


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "RAY_ADDRESS"))}


@pytest.mark.slow
@pytest.mark.parametrize("compute", ["local", "ray"])
def test_a_run_that_is_told_to_stop_goes_on_later(ready, compute, tmp_path):
    """In the middle of a training: exit code 143, one message, no record; then on from the last checkpoint."""
    run = training(ready, tmp_path, compute, compute, EPOCHS[compute])
    run.process.terminate()
    complaint = run.ended()
    assert run.process.returncode == 143, complaint
    run.held.open()
    done = max(int(mark.parent.name.rpartition("-")[2]) for mark in run.checkpoints())
    again = forked.run(*run.words, "--compute", "local", env=environment(), timeout=600)
    assert again.returncode == 0, again.stderr
    assert f"[1/1] model/{compute}/1" in again.stdout
    first = waiting.first_epoch(again.stdout)
    assert first >= done + 2  # checkpoint n is of epoch n + 1
    assert read_record(run.model) is not None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_is_one_to_the_run(ready, number, tmp_path):
    """As `timeout`, systemd and a terminal's Ctrl-C send it: our own Ray ends after the run has answered, and all of
    it."""
    run = training(ready, tmp_path, "ray", f"group-{number}", 16 + number)
    family = psutil.Process(run.process.pid).children(recursive=True)
    assert {"gcs_server", "raylet"} <= {each.name() for each in family}
    os.killpg(run.process.pid, number)
    complaint = run.ended()
    assert run.process.returncode == 128 + number, complaint
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def interrupted(number: int, done: list) -> None:
    with stoppable():
        with deferred():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("whole")
        done.append("more")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_must_not_be_cut_short_ends_first(number):
    """A signal in the middle of it is heard after it; once, however often it came."""
    done = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted(number, done)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole"]


def test_without_a_signal_nothing_is_heard():
    before = signal.getsignal(signal.SIGTERM)
    with deferred():
        pass
    assert signal.getsignal(signal.SIGTERM) is before
