"""What killed processes leave behind: ended and removed, and nothing of the living."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from unisid.runtime import leftovers

ROOT = Path(__file__).parents[2]


def test_a_watch_ends_what_writes_into_the_folder_of_a_dead_owner(tmp_path):
    """Whatever it calls itself, and nothing else."""
    program = """if True:
        import subprocess, sys, time
        from pathlib import Path
        from unisid.runtime.leftovers import watched

        with watched() as follow:
            follow(sys.argv[1])
            for name in ("logs", "logs-of-others"):
                folder = Path(sys.argv[1]).with_name(name)
                folder.mkdir()
                with (folder / "out").open("w") as out:
                    for words in ({"stdout": out}, {"stdout": subprocess.DEVNULL, "pass_fds": [out.fileno()]}):
                        print(subprocess.Popen(["sleep", "300"], start_new_session=True, **words).pid, flush=True)
            time.sleep(300)
    """
    words = [sys.executable, "-c", program, str(tmp_path / "logs")]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        *ours, one, other = (psutil.Process(int(owner.stdout.readline())) for _ in range(4))
        assert all(process.is_running() for process in ours)
        owner.kill()
        try:
            assert psutil.wait_procs(ours, timeout=120)[1] == []
            assert one.is_running()
            assert other.is_running()
        finally:
            one.kill()
            other.kill()


def test_the_living_keep_their_folders(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    foreign = tmp_path / "unisid-other"
    foreign.mkdir()
    program = (
        "import sys; from unisid.runtime.leftovers import Scratch; s = Scratch('tune'); print(s.name, flush=True);"
    )
    words = [sys.executable, "-c", f"{program} sys.stdin.read()"]
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        folder = Path(other.stdout.readline().strip())
        with leftovers.Scratch("group") as own:
            leftovers.sweep()
            assert Path(own).exists()
            assert folder.exists()
        assert not Path(own).exists()
        other.kill()
        other.wait()
        assert folder.exists()
        leftovers.sweep()
    assert not folder.exists()
    assert foreign.exists()
